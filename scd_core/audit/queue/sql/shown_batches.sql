-- shown_batches: the batches of the listed pictures, of whatever run, so that one without detections shows nobody that another one hides.
SELECT batch_key FROM listed UNION SELECT batch_key FROM superseded SEMI JOIN listed USING (media_id)

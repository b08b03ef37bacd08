-- example_batches: the batches of some media, of whatever run, so that one without detections shows nobody that another one hides.
SELECT batch_key FROM errors WHERE media_id IN (SELECT unnest($media))
UNION SELECT batch_key FROM superseded WHERE media_id IN (SELECT unnest($media))

-- deep_labels: batches of labels that the newest report has no truth of are looked at too.
INSERT INTO deep SELECT DISTINCT batch_key FROM predictions SEMI JOIN (FROM queue_given()) given USING (media_id)

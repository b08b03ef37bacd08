-- event_sizes: the number of named predictions of each event that has a label in its batch.
CREATE OR REPLACE TEMP TABLE event_sizes AS
SELECT batch_key, event_id, count(*) AS n_frames FROM predictions
SEMI JOIN (FROM predictions SEMI JOIN labelled USING (batch_key, target_id)) with_label USING (batch_key, event_id)
WHERE prediction_status = 'ok' GROUP BY batch_key, event_id

-- event_sizes: the number of named predictions of each labelled event.
CREATE OR REPLACE TEMP TABLE event_sizes AS
SELECT batch_key, event_id, count(*) AS n_frames FROM predictions
WHERE prediction_status = 'ok' AND event_id IN (
    SELECT event_id FROM predictions SEMI JOIN labelled USING (batch_key, target_id)
)
GROUP BY batch_key, event_id

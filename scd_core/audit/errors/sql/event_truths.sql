-- event_truths: the individual of each event of a batch whose labels are all of one.
CREATE OR REPLACE TEMP TABLE event_truths AS
SELECT batch_key, coalesce(event_id, target_id) AS event, min(true_id) AS true_id
FROM predictions JOIN labelled USING (batch_key, target_id) WHERE true_id IS NOT NULL
GROUP BY ALL HAVING min(true_id) = max(true_id)

-- event_counts: the current named pictures of each batch with a label by their primary flag reason, and the events that they are.
-- Events are decimals, because sums of floating-point numbers depend on their order.
CREATE OR REPLACE TEMP TABLE event_counts AS
WITH named AS (
    SELECT batch_key, primary_reason(flag_reasons, inclusion_probability) AS stratum,
        (1 / count(*) OVER (PARTITION BY batch_key, coalesce(event_id, target_id)))::DECIMAL(18, 12) AS part
    FROM predictions ANTI JOIN superseded USING (batch_key, media_id) SEMI JOIN labelled_batches USING (batch_key)
    WHERE prediction_status = 'ok'
)
SELECT batch_key, stratum, count(*) AS n_pictures, sum(part) AS n_events FROM named GROUP BY batch_key, stratum

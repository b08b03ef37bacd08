-- event_counts: the current named pictures of each batch with a label by their primary flag reason, and the events that they are.
-- Events are decimals, because sums of floating-point numbers depend on their order.
CREATE OR REPLACE TEMP TABLE event_counts AS
WITH named AS (
    SELECT batch_key, coalesce(event_id, target_id) AS event,
        primary_reason(flag_reasons, inclusion_probability) AS stratum, count(*) AS n
    FROM predictions ANTI JOIN superseded USING (batch_key, media_id) SEMI JOIN labelled_batches USING (batch_key)
    WHERE prediction_status = 'ok' GROUP BY ALL
),
parts AS (
    SELECT batch_key, stratum, n, n * (1 / sum(n) OVER (PARTITION BY batch_key, event))::DECIMAL(18, 12) AS part FROM named
)
SELECT batch_key, stratum, sum(n)::BIGINT AS n_pictures, sum(part) AS n_events FROM parts GROUP BY batch_key, stratum

-- repeated_pairs: wrong names that an individual is given in at least 3 events; recurrent from a fifth of its events on.
CREATE OR REPLACE TEMP TABLE repeated_pairs AS
WITH pairs AS (
    SELECT true_id, predicted_id, is_wrong, count(DISTINCT coalesce(event_id, target_id)) AS n,
        sum(event_weight) AS weight
    FROM scored WHERE right_id IS NOT NULL AND is_current GROUP BY ALL
)
SELECT true_id, predicted_id, weight >= 0.2 * sum(weight) OVER (PARTITION BY true_id) AS is_recurrent FROM pairs
QUALIFY is_wrong AND n >= 3

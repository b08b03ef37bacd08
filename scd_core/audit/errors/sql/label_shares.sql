-- label_shares: in batches labelled beyond triage's selection, the labelled share of each stratum over the larger share.
CREATE OR REPLACE TEMP TABLE label_shares AS
WITH strata AS (
    SELECT batch_key, inclusion_probability >= 1 AS has_reason, count(*) AS n,
        count(chosen.true_id) AS n_labelled, count(chosen.true_id) FILTER (NOT is_selected) AS n_unselected
    FROM predictions LEFT JOIN chosen USING (batch_key, target_id)
    WHERE prediction_status = 'ok' AND batch_key IN (SELECT batch_key FROM labelled)
    GROUP BY ALL
)
SELECT batch_key, has_reason, n_labelled / n / nullif(max(n_labelled / n) OVER batch, 0) AS share
FROM strata WINDOW batch AS (PARTITION BY batch_key) QUALIFY sum(n_unselected) OVER batch > 0

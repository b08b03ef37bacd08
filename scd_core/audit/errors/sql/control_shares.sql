-- control_shares: the probability with which triage draws a control in each labelled batch; null where nothing could be one.
CREATE OR REPLACE TEMP TABLE control_shares AS
SELECT batch_key, CASE WHEN count(*) FILTER (inclusion_probability < 1) > 0 THEN
    coalesce(min(inclusion_probability) FILTER (inclusion_probability > 0 AND inclusion_probability < 1), 0.05)
    END AS control_probability
FROM predictions WHERE prediction_status = 'ok' AND batch_key IN (SELECT batch_key FROM labelled)
GROUP BY batch_key

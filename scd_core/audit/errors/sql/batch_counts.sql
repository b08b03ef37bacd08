-- batch_counts: pictures, names, flags and masks of each batch, without what another run counts for.
CREATE OR REPLACE TEMP TABLE batch_counts AS
WITH pictures AS (
    SELECT batch_key, count(*) AS n_media, count(*) FILTER (status NOT IN ('ok', 'duplicate')) AS n_quarantined,
        count(*) FILTER (status = 'duplicate') AS n_duplicates, min(captured_at) AS first_captured_at,
        max(captured_at) AS last_captured_at, list_sort(list(DISTINCT camera_id) FILTER (camera_id IS NOT NULL)) AS cameras
    FROM media ANTI JOIN superseded USING (batch_key, media_id) GROUP BY batch_key
),
named AS (
    SELECT batch_key, count(*) FILTER (prediction_status = 'ok') AS n_predictions,
        count(*) FILTER (prediction_status IS DISTINCT FROM 'ok') AS n_unnamed,
        count(*) FILTER (prediction_status = 'ok' AND is_flagged) AS n_flagged,
        list_sort(list(DISTINCT predicted_id) FILTER (predicted_id IS NOT NULL)) AS individuals
    FROM predictions ANTI JOIN superseded USING (batch_key, media_id) GROUP BY batch_key
),
masked AS (
    SELECT batch_key, count(DISTINCT target_id) AS n_masked
    FROM masks ANTI JOIN superseded USING (batch_key, media_id) WHERE mask_status = 'ok' GROUP BY batch_key
)
FROM pictures FULL JOIN named USING (batch_key) FULL JOIN masked USING (batch_key)

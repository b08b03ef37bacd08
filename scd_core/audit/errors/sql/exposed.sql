-- exposed: visits that nobody flagged or labelled, by what slices are made of, counted by their known exposure.
-- That is what they count so that all visits that were not flagged, those of them that are labelled included, count for the
-- share of the flagged visits that is labelled. f_flagged and f_others are the labelled shares of a camera in a batch, each drawn by five
-- visits towards the batch's. Where none of the flagged ones is labelled, nobody looked, and the exposure is 0.
WITH looked AS (
    SELECT batch_key, camera_id, sum(n_visits) FILTER (is_flagged) AS n_flagged,
        sum(n_visits) FILTER (is_flagged AND is_labelled) AS n_flagged_labelled,
        sum(n_visits) FILTER (NOT is_flagged) AS n_others,
        sum(n_visits) FILTER (NOT is_flagged AND is_labelled) AS n_others_labelled
    FROM cells GROUP BY ALL
),
shares AS (
    SELECT batch_key, camera_id, coalesce(n_flagged, 0) AS n, coalesce(n_flagged_labelled, 0) AS n_labelled,
        coalesce(n_others, 0) AS n_o, coalesce(n_others_labelled, 0) AS n_o_labelled,
        sum(n) OVER batch AS batch_n, sum(n_labelled) OVER batch AS batch_labelled,
        sum(n_o) OVER batch AS batch_o, sum(n_o_labelled) OVER batch AS batch_o_labelled,
        CASE WHEN batch_n > 0 THEN batch_labelled / batch_n
            ELSE sum(n_labelled) OVER () / nullif(sum(n) OVER (), 0) END AS f_batch,
        CASE WHEN n > 0 AND n_labelled = 0 THEN 0 ELSE (n_labelled + 5 * f_batch) / (n + 5) END AS f_flagged,
        (n_o_labelled + 5 * batch_o_labelled / nullif(batch_o, 0)) / (n_o + 5) AS f_others
    FROM looked WINDOW batch AS (PARTITION BY batch_key)
),
exposures AS (
    -- A decimal, because sums of floating-point numbers depend on their order.
    SELECT batch_key, camera_id, greatest(0, (f_flagged - f_others) / nullif(1 - f_others, 0))::DECIMAL(18, 12) AS exposure
    FROM shares
),
looked_at AS (
    SELECT exposures.batch_key, exposures.camera_id, exposure, stands_for
    FROM exposures JOIN places ON places.batch_key = exposures.batch_key
        AND places.camera_id IS NOT DISTINCT FROM exposures.camera_id
    WHERE exposure > 0
),
counted AS (
    SELECT stands_for AS batch_key, model_digest, cells.camera_id, deployment_id, predicted_id, is_infrared, quality,
        captured_at, sum(n_visits * exposure)::DOUBLE AS exposure
    FROM cells JOIN looked_at ON cells.batch_key = looked_at.batch_key
        AND cells.camera_id IS NOT DISTINCT FROM looked_at.camera_id
    WHERE NOT is_flagged AND NOT is_labelled
    GROUP BY ALL
)
-- Numbers for texts, of which millions of rows have the same few.
SELECT batch_key::batch_key_value AS batch_key, model_digest::model_digest_value AS model_digest,
    camera_id::camera_id_value AS camera_id, deployment_id::deployment_id_value AS deployment_id,
    predicted_id::predicted_id_value AS predicted_id, predicted_id::predicted_id_value AS true_id, is_infrared,
    quality::quality_value AS quality, captured_at, exposure
FROM counted ORDER BY ALL

-- totals_predictions: pictures or boxes that have a name, a flag, a mask; each once (see totals_media for the hash).
WITH each AS (
    SELECT hash(target_id) AS id, bool_or(prediction_status = 'ok') AS is_named,
        bool_or(prediction_status = 'ok' AND is_flagged) AS is_flagged
    FROM predictions GROUP BY id
)
SELECT count(*) FILTER (is_named) AS n_predictions, count(*) FILTER (NOT is_named) AS n_unnamed,
    count(*) FILTER (is_flagged) AS n_flagged,
    (SELECT count(DISTINCT predicted_id) FROM predictions) AS n_individuals,
    (SELECT count(DISTINCT target_id) FROM masks WHERE mask_status = 'ok') AS n_masked
FROM each

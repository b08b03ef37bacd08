-- rows_lots: about `given_most` pictures of each stratum, those that are drawn first, from all rows of predictions.
-- Few columns of all pictures, then all columns of few, because an audit has millions.
WITH small AS MATERIALIZED (
    SELECT batch_key, target_id, stratum, n_pictures, draw_lot(given_seed, content_number, target_id) AS lot
    FROM (
        SELECT batch_key, target_id, content_number, primary_reason(flag_reasons, inclusion_probability) AS stratum
        FROM predictions WHERE prediction_status = 'ok'
    ) JOIN queue_strata() USING (stratum)
    WHERE draw_lot(given_seed, content_number, target_id) <= given_most / n_pictures
)
SELECT small.*, media_id, coalesce(event_predicted_id, predicted_id) AS individual
FROM small JOIN predictions USING (batch_key, target_id)

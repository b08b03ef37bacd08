-- label_counts: the predictions of each batch with a label by their primary flag reason, and how many are labelled by lot, or current.
CREATE OR REPLACE TEMP TABLE label_counts AS
SELECT batch_key, primary_reason(flag_reasons, inclusion_probability) AS stratum, count(*) AS n_predictions,
    count(labelled.true_id) FILTER (is_by_lot) AS n_labelled, count(*) FILTER (superseded.media_id IS NULL) AS n_current,
    count(*) FILTER (is_selected) AS n_selected, count(labelled.true_id) FILTER (is_selected) AS n_selected_labelled
FROM predictions LEFT JOIN labelled USING (batch_key, target_id)
LEFT JOIN superseded ON superseded.batch_key = predictions.batch_key AND superseded.media_id = predictions.media_id
WHERE prediction_status = 'ok' AND predictions.batch_key IN (SELECT batch_key FROM labelled WHERE true_id IS NOT NULL)
GROUP BY ALL

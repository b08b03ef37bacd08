-- label_strata: the predictions of each batch with a label by their primary flag reason, and the share that is labelled.
-- Where nothing is labelled, what the predictions stand for is added to the same reason's of the other batches; where no
-- batch has a labelled one, label_probability is null in all.
CREATE OR REPLACE TEMP TABLE label_strata AS
WITH counted AS (
    SELECT batch_key, primary_reason(flag_reasons, inclusion_probability) AS stratum, count(*) AS n_predictions,
        count(labelled.true_id) AS n_labelled, count(*) FILTER (superseded.media_id IS NULL) AS n_current
    FROM predictions LEFT JOIN labelled USING (batch_key, target_id)
    LEFT JOIN superseded ON superseded.batch_key = predictions.batch_key AND superseded.media_id = predictions.media_id
    WHERE prediction_status = 'ok' AND predictions.batch_key IN (SELECT batch_key FROM labelled WHERE true_id IS NOT NULL)
    GROUP BY ALL
)
SELECT *, CASE WHEN n_labelled > 0 THEN n_labelled / n_predictions
        * coalesce(sum(n_current) FILTER (n_labelled > 0) OVER reason / nullif(sum(n_current) OVER reason, 0), 1)
    END AS label_probability
FROM counted WINDOW reason AS (PARTITION BY stratum)

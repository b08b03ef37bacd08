-- certificate_labels: right names that were classified again, one of each visit, with the probability of a suggestion that breaks it.
-- Of each reason for a flag, in the batches with labels, a labelled one stands for `weight` that were classified again.
WITH models AS (SELECT DISTINCT batch_key, model_digest FROM scored),
shares AS (
    SELECT model_digest, stratum, sum(n_selected) / sum(n_selected_labelled) AS weight
    FROM label_counts JOIN models USING (batch_key) GROUP BY ALL HAVING sum(n_selected_labelled) > 0
)
SELECT model_digest, CASE WHEN is_broken THEN final_probability::DOUBLE END AS probability, weight
FROM scored JOIN shares USING (model_digest, stratum)
WHERE is_current AND is_masked AND true_id IS NOT NULL AND NOT is_wrong
QUALIFY row_number() OVER (
    PARTITION BY model_digest, coalesce(visit_id, event_id, target_id)
        ORDER BY md5(drawn_by(content_number, target_id)), batch_key, target_id
) = 1

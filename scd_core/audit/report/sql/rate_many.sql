-- rate_many: the labelled pictures that a rate is made of, where they are so many that nothing is foretold of the others.
SELECT CASE WHEN probability IS NULL THEN 'exclusion' ELSE stratum END AS stratum,
    coalesce(visit_id, event_id, target_id) AS visit, error_type <> 'correct' AS is_wrong,
    is_broken OR (error_type <> 'correct' AND NOT is_recovered) AS is_wrong_after, event_weight,
    CASE WHEN probability IS NULL THEN 1 ELSE label_probability END AS label_probability
FROM errors WHERE is_labelled AND is_current AND event_weight > 0
ORDER BY visit, stratum, is_wrong, is_wrong_after, event_weight, label_probability

-- rate_labelled: the labelled ones of rate_frames, and the labelled pictures that got no name, which stand for themselves.
SELECT stratum, camera, name, probability, margin, is_masked, is_flip, background, visit, is_wrong, is_wrong_after, event_weight,
    label_probability
FROM rate_frames WHERE event_weight IS NOT NULL
UNION ALL
SELECT 'exclusion', '', '', 0, 0, false, false, 0, coalesce(visit_id, event_id, target_id), error_type <> 'correct',
    is_broken OR (error_type <> 'correct' AND NOT is_recovered), event_weight, 1
FROM errors WHERE is_labelled AND is_current AND event_weight > 0 AND probability IS NULL
ORDER BY ALL

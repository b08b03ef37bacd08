-- recovered_by_masks: How often does each re-classification mend a wrong name, and how often does it spoil a right one?
SELECT strategy, count(*) AS n_labelled,
    count(*) FILTER (errors.error_type <> 'correct' AND reclassifications.predicted_id = true_id) AS n_mended,
    count(*) FILTER (errors.error_type = 'correct' AND reclassifications.predicted_id IS DISTINCT FROM true_id)
        AS n_spoilt
FROM reclassifications JOIN errors USING (batch_key, target_id)
WHERE is_labelled AND is_current AND strategy_status = 'ok' GROUP BY strategy ORDER BY n_mended DESC, strategy

-- to_review: What should a person look at next? Suspected names, those with most reasons and of systematic slices first.
SELECT media_id, target_id, file, camera_id, captured_at, predicted_id, probability, final_id, suspicion_reasons,
    len(suspicion_reasons)
        + coalesce(predicted_id IN (SELECT confused_with FROM error_slices WHERE is_systematic), false)::INT AS urgency
FROM errors LEFT JOIN (SELECT media_id, any_value(file) AS file FROM media GROUP BY media_id) USING (media_id)
WHERE is_suspected AND is_current ORDER BY urgency DESC, probability, target_id

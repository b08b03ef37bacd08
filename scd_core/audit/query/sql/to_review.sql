-- to_review: What should a person label next? Flagged pictures and others by turns, one of each visit, drawn so that rates stay honest.
SELECT place, file, predictions.detection_id, NULL::VARCHAR AS individual_id, queue, queue_probability, camera_id, captured_at,
    predicted_id, probability, flag_reasons, coalesce(suspicion_reasons, []) AS suspicion_reasons, predictions.media_id, target_id
FROM label_queue(NULL, NULL, 10000) -- looked at, of each stratum
JOIN predictions USING (batch_key, target_id)
JOIN (SELECT batch_key, media_id, file, camera_id, captured_at FROM media) media
    ON media.batch_key = predictions.batch_key AND media.media_id = predictions.media_id
LEFT JOIN (SELECT batch_key, target_id, suspicion_reasons FROM errors) doubts USING (batch_key, target_id)
ORDER BY place

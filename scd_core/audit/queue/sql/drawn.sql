-- drawn: the first places of the list of what to label next, with what a person needs to find each picture.
SELECT drawn.*, media.media_id, detection_id, file, uri, camera_id, captured_at, predicted_id, probability, flag_reasons
FROM (SELECT * FROM label_queue($seed, $visit_minutes) ORDER BY place LIMIT $limit) drawn
JOIN predictions USING (batch_key, target_id)
JOIN (SELECT batch_key, media_id, file, uri, camera_id, captured_at FROM media) media USING (batch_key, media_id)
ORDER BY place

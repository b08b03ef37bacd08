-- drawn: the first places of the list of what to label next, with all that the page shows and needs to fetch each picture.
WITH
-- Of all runs, so that one without detections shows nobody that another one hides.
persons AS (
    SELECT media_id, flatten(list(hidden_boxes)) AS hidden_boxes FROM predictions
    WHERE media_id IN (SELECT media_id FROM listed) AND len(hidden_boxes) > 0 GROUP BY media_id
),
frames AS (SELECT * FROM media WHERE media_id IN (SELECT media_id FROM listed))
SELECT listed.*, predictions.detection_id, file, uri, etag, size_bytes, version_id, width, height, camera_id, captured_at,
    predicted_id, probability, flag_reasons, coalesce(suspicion_reasons, []) AS suspicion_reasons,
    bbox_x_min, bbox_y_min, bbox_width, bbox_height, persons.hidden_boxes
FROM listed
JOIN predictions USING (batch_key, target_id)
JOIN frames ON frames.batch_key = listed.batch_key AND frames.media_id = listed.media_id
LEFT JOIN persons ON persons.media_id = listed.media_id
LEFT JOIN (SELECT batch_key, target_id, suspicion_reasons FROM errors) doubts USING (batch_key, target_id)
ORDER BY place

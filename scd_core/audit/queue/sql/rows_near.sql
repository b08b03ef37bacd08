-- rows_near: all named pictures, with what makes them visits.
SELECT predictions.batch_key, target_id, predictions.event_id, coalesce(event_predicted_id, predicted_id) AS individual,
    camera_id, captured_at, drawn_by(content_number, target_id) AS drawn_by
FROM predictions JOIN (SELECT batch_key, media_id, camera_id, captured_at FROM media) places USING (batch_key, media_id)
WHERE prediction_status = 'ok'

-- frames: the targets of the events that some pictures belong to, in the order of time: each with its picture, its name and why.
-- Persons' boxes are those of all runs that the tables `predictions` and `hiding` show, so that one without detections shows
-- nobody that another one hides.
WITH wanted AS (SELECT DISTINCT event_id FROM media WHERE media_id IN (SELECT unnest($media))),
frames AS (
    SELECT * FROM media
    WHERE status = 'ok' AND (media_id IN (SELECT unnest($media)) OR event_id IN (SELECT event_id FROM wanted))
),
persons AS (
    SELECT media_id, flatten(list(hidden_boxes)) AS hidden_boxes FROM hiding
    WHERE media_id IN (SELECT media_id FROM frames) AND len(hidden_boxes) > 0 GROUP BY media_id
),
maps AS (
    SELECT target_id, any_value(background_reliance) AS background_reliance, any_value(overlay_reliance) AS overlay_reliance
    FROM masks WHERE media_id IN (SELECT media_id FROM frames) AND mask_status = 'ok' AND contrast_id IS NULL
    GROUP BY target_id
),
decisions AS (
    SELECT target_id, any_value(predicted_id) AS final_id FROM reclassifications
    WHERE media_id IN (SELECT media_id FROM frames) AND strategy = 'fused' AND strategy_status = 'ok' GROUP BY target_id
)
SELECT frames.batch_key, frames.media_id, frames.event_id, file, uri, etag, size_bytes, version_id, width, height, camera_id,
    deployment_id, captured_at, is_infrared, predictions.target_id, detection_id, bbox_x_min, bbox_y_min, bbox_width, bbox_height,
    box_margin, persons.hidden_boxes, prediction_status, predicted_id, probability, topk, event_predicted_id, candidate_id, flag_reasons,
    inclusion_probability, final_id,
    CASE WHEN final_id <> predicted_id THEN final_id END AS suggested_id, maps.target_id IS NOT NULL AS has_mask, background_reliance,
    overlay_reliance
FROM frames JOIN predictions USING (media_id)
LEFT JOIN persons ON persons.media_id = frames.media_id
LEFT JOIN maps ON maps.target_id = predictions.target_id
LEFT JOIN decisions ON decisions.target_id = predictions.target_id
ORDER BY captured_at, file, try_cast(detection_id AS BIGINT), detection_id

-- examples: what the pictures of an example need: names, medium, boxes and mask of the current predictions.
WITH wanted AS (
    SELECT * FROM errors WHERE is_current AND media_id IN (SELECT unnest($media))
),
frames AS (SELECT * FROM media WHERE media_id IN (SELECT unnest($media))),
shown AS (SELECT * FROM predictions WHERE media_id IN (SELECT unnest($media))),
-- Of all runs, so that one without detections shows nobody that another one hides.
persons AS (
    SELECT media_id, flatten(list(hidden_boxes)) AS hidden_boxes FROM predictions
    WHERE media_id IN (SELECT unnest($media)) AND len(hidden_boxes) > 0 GROUP BY media_id
),
maps AS (
    SELECT batch_key, target_id, any_value(mask_png) AS mask_png, any_value(ssr_probability) AS ssr_probability
    FROM masks WHERE media_id IN (SELECT unnest($media)) AND mask_status = 'ok' AND contrast_id IS NULL
    GROUP BY batch_key, target_id
)
SELECT wanted.batch_key, wanted.target_id, wanted.media_id, wanted.detection_id, wanted.true_id,
    wanted.predicted_id, wanted.probability, wanted.suggested_id, wanted.is_certified, wanted.final_id, wanted.final_probability, wanted.error_type,
    wanted.is_recovered, wanted.is_broken, wanted.cause_evidence, wanted.suspicion_reasons, wanted.camera_id,
    wanted.captured_at, wanted.is_infrared, wanted.background_reliance,
    frames.uri, frames.file, frames.etag, frames.size_bytes, frames.version_id, frames.width, frames.height,
    shown.bbox_x_min, shown.bbox_y_min, shown.bbox_width, shown.bbox_height, shown.box_margin, persons.hidden_boxes,
    shown.frame_logits IS NOT NULL AS has_frame, maps.mask_png, maps.ssr_probability
FROM wanted
JOIN frames USING (batch_key, media_id)
JOIN shown USING (batch_key, target_id)
LEFT JOIN persons ON persons.media_id = wanted.media_id
LEFT JOIN maps USING (batch_key, target_id)

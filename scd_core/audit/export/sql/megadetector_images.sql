-- megadetector_images: a row for each detection of each file, in the order of the files; the newest version of each.
WITH newest AS (SELECT * FROM newest_media QUALIFY row_number() OVER (
    PARTITION BY uri ORDER BY last_modified_at DESC, media_id) = 1),
names AS (SELECT file, count(*) AS n FROM newest GROUP BY file)
SELECT CASE WHEN n > 1 THEN uri ELSE newest.file END AS name, newest.status, newest.failure_reason, detection_id,
    prediction_status, bbox_x_min, bbox_y_min, bbox_width, bbox_height, detection_confidence, final_id,
    final_probability, predicted_id, topk, predictions.failure_reason AS prediction_failure
FROM newest JOIN names ON newest.file = names.file
LEFT JOIN newest_predictions predictions ON coalesce(newest.duplicate_of, newest.media_id) = predictions.media_id
ORDER BY name, target_id

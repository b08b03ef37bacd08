-- labelled: pictures, or boxes in pictures, whose individual a person has named, of the newest run over each; in a fixed order.
-- camera: where no camera is known, the deployment, else the folder. visit: frames that are no independent proof of each other.
SELECT errors.batch_key, errors.model_digest, errors.target_id, errors.media_id, predictions.detection_id, errors.true_id,
    coalesce(errors.camera_id, errors.deployment_id, regexp_replace(media.file, '/?[^/]*$', '')) AS camera,
    coalesce(errors.visit_id, errors.event_id, errors.target_id) AS visit,
    coalesce(predictions.is_control, false) AS is_control,
    predictions.bbox_x_min, predictions.bbox_y_min, predictions.bbox_width, predictions.bbox_height, predictions.hidden_boxes,
    media.file, media.uri, media.etag, media.size_bytes, media.version_id, media.content_sha256
FROM errors
JOIN predictions ON errors.batch_key = predictions.batch_key AND errors.target_id = predictions.target_id
JOIN media ON errors.batch_key = media.batch_key AND errors.media_id = media.media_id
WHERE errors.is_current AND errors.is_labelled AND errors.true_id NOT IN ('unknown', 'blank')
    AND predictions.prediction_status = 'ok'
ORDER BY errors.target_id, errors.batch_key

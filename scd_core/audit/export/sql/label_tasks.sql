-- label_tasks: each usable picture with what was classified in it, its labels that count and its place on the list to label.
-- The list comes first, in its order, then the others by camera and time.
WITH drawn AS (SELECT place, queue, queue_probability, batch_key, target_id FROM label_queue(NULL, NULL, 10000)),
names AS (SELECT file FROM newest_media GROUP BY file HAVING count(DISTINCT uri) > 1),
targets AS (
    SELECT predictions.media_id, min(place) AS place, arg_min(detection_id, place) AS drawn_detection,
        arg_min(queue, place) AS queue, arg_min(queue_probability, place) AS queue_probability,
        list({
            target_id: target_id, detection_id: detection_id, name: final_id, probability: final_probability,
            model_digest: model_digest, x: bbox_x_min, y: bbox_y_min, width: bbox_width, height: bbox_height
        } ORDER BY bbox_x_min, bbox_y_min, target_id) AS targets
    FROM newest_predictions predictions LEFT JOIN drawn USING (batch_key, target_id)
    WHERE prediction_status = 'ok' GROUP BY predictions.media_id
),
known AS (
    SELECT media_id, list({
        label_id: label_id, detection_id: detection_id, individual_id: individual_id, state: state, flank: flank,
        labelled_by: labelled_by, labelled_at: labelled_at, source: label_source, queue: queue,
        queue_probability: queue_probability,
        x: bbox_x_min, y: bbox_y_min, width: bbox_width, height: bbox_height
    } ORDER BY labelled_at, label_id) AS labels
    FROM label_matches WHERE status IN ('newest', 'conflicting', 'several') GROUP BY media_id
)
SELECT media.media_id, CASE WHEN names.file IS NULL THEN media.file ELSE uri END AS name, media.file, uri, camera_id, captured_at,
    media.width, media.height, place, drawn_detection, queue, queue_probability, coalesce(targets, []) AS targets,
    coalesce(labels, []) AS labels
FROM (SELECT * FROM newest_media WHERE status = 'ok' QUALIFY row_number() OVER (
    PARTITION BY uri ORDER BY last_modified_at DESC, media_id) = 1) media
LEFT JOIN names ON media.file = names.file
LEFT JOIN targets ON media.media_id = targets.media_id
LEFT JOIN known ON media.media_id = known.media_id
WHERE targets.media_id IS NOT NULL OR known.media_id IS NOT NULL
ORDER BY place NULLS LAST, camera_id, captured_at, name LIMIT $limit

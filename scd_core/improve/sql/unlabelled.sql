-- unlabelled: pictures, or boxes in pictures, of events in which nobody has named an animal, as the newest run over each has them.
-- At most $most of each camera, frames of different events first, in a random order by content; camera as for `labelled`.
WITH newest AS (
    SELECT predictions.batch_key, target_id, drawn_by(content_number, target_id) AS drawn_by, media_id, detection_id, coalesce(predictions.event_id, target_id) AS event,
        coalesce(camera_id, deployment_id, regexp_replace(media.file, '/?[^/]*$', '')) AS camera,
        bbox_x_min, bbox_y_min, bbox_width, bbox_height, hidden_boxes, file, uri, etag, size_bytes, version_id, content_sha256
    FROM predictions JOIN media USING (batch_key, media_id)
    JOIN (SELECT batch_key, max(started_at) AS started_at FROM runs GROUP BY batch_key) USING (batch_key)
    WHERE prediction_status = 'ok'
    QUALIFY rank() OVER (PARTITION BY media_id ORDER BY started_at DESC, batch_key DESC) = 1
),
turns AS (
    SELECT newest.*, row_number() OVER (PARTITION BY camera, event ORDER BY md5(drawn_by), target_id) AS turn
    FROM newest ANTI JOIN (SELECT coalesce(event_id, target_id) AS event FROM errors WHERE is_labelled) USING (event)
)
SELECT * EXCLUDE (event, turn, drawn_by) FROM turns
QUALIFY row_number() OVER (PARTITION BY camera ORDER BY turn, md5(drawn_by), target_id) <= $most::BIGINT
ORDER BY camera, turn, md5(drawn_by), target_id

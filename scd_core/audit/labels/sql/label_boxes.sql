-- label_boxes: the boxes of media with labels, as the newest run over each medium has them.
CREATE OR REPLACE TEMP TABLE label_boxes AS
WITH placed AS (
    SELECT media_id FROM labels WHERE media_id IS NOT NULL UNION SELECT media_id FROM label_media WHERE n_objects = 1
),
finished AS (SELECT batch_key, max(finished_at) AS finished_at FROM runs GROUP BY batch_key),
seen AS (
    SELECT predictions.media_id, detection_id, bbox_x_min AS x, bbox_y_min AS y, bbox_width AS w, bbox_height AS h,
        rank() OVER (PARTITION BY predictions.media_id ORDER BY finished_at DESC, predictions.batch_key DESC) AS age
    FROM predictions JOIN finished USING (batch_key)
    WHERE predictions.media_id IN (SELECT media_id FROM placed) AND detection_id IS NOT NULL
)
SELECT * EXCLUDE (age), count(*) OVER (PARTITION BY media_id) AS n_boxes FROM seen WHERE age = 1

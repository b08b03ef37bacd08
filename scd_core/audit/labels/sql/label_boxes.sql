-- label_boxes: the boxes of media with labels, as the newest run over each medium has them.
CREATE OR REPLACE TEMP TABLE label_boxes AS
WITH finished AS (SELECT batch_key, max(finished_at) AS finished_at FROM runs GROUP BY batch_key),
seen AS (
    SELECT media_id, detection_id, bbox_x_min AS x, bbox_y_min AS y, bbox_width AS w, bbox_height AS h,
        rank() OVER (PARTITION BY media_id ORDER BY finished_at DESC, batch_key DESC) AS age
    FROM label_targets JOIN finished USING (batch_key) WHERE detection_id IS NOT NULL
)
SELECT * EXCLUDE (age), count(*) OVER (PARTITION BY media_id) AS n_boxes FROM seen WHERE age = 1

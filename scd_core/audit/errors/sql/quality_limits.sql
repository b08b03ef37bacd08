-- quality_limits: the sharpness and brightness below which a picture of a batch is poor, by camera and light.
-- Against the median of the camera's medians in this batch and the earlier ones, so that a later batch changes nothing.
CREATE OR REPLACE TEMP TABLE quality_limits AS
WITH numbered AS (
    SELECT batch_key, row_number() OVER (ORDER BY max(finished_at) NULLS FIRST, batch_key) AS number
    FROM runs GROUP BY batch_key
)
SELECT batch_key, camera_id, is_infrared, $low_quality_ratio * median(sharpness) OVER so_far AS blurred_below,
    $low_quality_ratio * median(brightness) OVER so_far AS dark_below
FROM qualities LEFT JOIN numbered USING (batch_key)
WINDOW so_far AS (
    PARTITION BY camera_id, is_infrared ORDER BY number NULLS FIRST, batch_key
    ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
)

-- quality_limits: the sharpness and brightness below which a picture is poor, by camera and light, and cameras always below.
-- A camera is always poor against the median of four cameras or more in that light.
CREATE OR REPLACE TEMP TABLE quality_limits AS
WITH cameras AS (
    SELECT camera_id, is_infrared, approx_quantile(sharpness, 0.5) AS sharpness, approx_quantile(brightness, 0.5) AS brightness
    FROM media WHERE status = 'ok' GROUP BY camera_id, is_infrared
)
SELECT camera_id, is_infrared, $low_quality_ratio * sharpness AS blurred_below, $low_quality_ratio * brightness AS dark_below,
    CASE WHEN count(*) OVER kind < 4 THEN NULL
        WHEN sharpness < $low_quality_ratio * median(sharpness) OVER kind THEN 'blurred'
        WHEN brightness < $low_quality_ratio * median(brightness) OVER kind THEN 'dark' END AS camera_quality
FROM cameras WINDOW kind AS (PARTITION BY is_infrared)

-- poor_cameras: cameras whose pictures in one light are always poor: against the median of four cameras or more.
CREATE OR REPLACE TEMP TABLE poor_cameras AS
WITH cameras AS (
    SELECT camera_id, is_infrared, median(sharpness) AS sharpness, median(brightness) AS brightness
    FROM qualities GROUP BY camera_id, is_infrared
),
compared AS (
    SELECT camera_id, is_infrared, CASE WHEN count(*) OVER kind < 4 THEN NULL
        WHEN sharpness < $low_quality_ratio * median(sharpness) OVER kind THEN 'blurred'
        WHEN brightness < $low_quality_ratio * median(brightness) OVER kind THEN 'dark' END AS camera_quality
    FROM cameras WINDOW kind AS (PARTITION BY is_infrared)
)
FROM compared WHERE camera_quality IS NOT NULL

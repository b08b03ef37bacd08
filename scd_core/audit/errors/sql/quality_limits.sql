-- quality_limits: the sharpness and brightness below which a picture is poor, by camera and light.
CREATE OR REPLACE TEMP TABLE quality_limits AS
SELECT camera_id, is_infrared, $low_quality_ratio * approx_quantile(sharpness, 0.5) AS blurred_below,
    $low_quality_ratio * approx_quantile(brightness, 0.5) AS dark_below
FROM media WHERE status = 'ok' GROUP BY camera_id, is_infrared

-- media_quality: the media, each with its quality against others of the same camera and light.
CREATE OR REPLACE TEMP VIEW media_quality AS
SELECT media.*, CASE WHEN sharpness < blurred_below THEN 'blurred' WHEN brightness < dark_below THEN 'dark' ELSE 'good' END
    AS quality
FROM media LEFT JOIN quality_limits ON media.batch_key = quality_limits.batch_key
    AND media.camera_id IS NOT DISTINCT FROM quality_limits.camera_id
    AND media.is_infrared IS NOT DISTINCT FROM quality_limits.is_infrared

-- qualities: the medians of sharpness and brightness of each camera in each light, by batch.
CREATE OR REPLACE TEMP TABLE qualities AS
SELECT batch_key, camera_id, is_infrared, median(sharpness) AS sharpness, median(brightness) AS brightness
FROM media WHERE status = 'ok' GROUP BY batch_key, camera_id, is_infrared

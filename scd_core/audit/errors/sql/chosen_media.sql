-- chosen_media: the media of the report's targets.
CREATE OR REPLACE TEMP TABLE chosen_media AS
SELECT batch_key, media_id, camera_id, deployment_id, captured_at, is_infrared, quality
FROM media_quality SEMI JOIN chosen USING (batch_key, media_id)

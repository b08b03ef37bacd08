-- label_targets: the predictions over media that a label was given to, of all runs.
CREATE OR REPLACE TEMP TABLE label_targets AS
WITH placed AS (
    SELECT media_id FROM labels WHERE media_id IS NOT NULL UNION SELECT media_id FROM label_media WHERE n_objects = 1
)
SELECT batch_key, target_id, media_id, detection_id, content_number, prediction_status, bbox_x_min, bbox_y_min, bbox_width, bbox_height
FROM predictions WHERE media_id IN (SELECT media_id FROM placed)

-- label_targets: the predictions over wanted media, of all runs.
CREATE OR REPLACE TEMP TABLE label_targets AS
SELECT batch_key, target_id, media_id, detection_id, content_number, prediction_status, bbox_x_min, bbox_y_min, bbox_width, bbox_height
FROM predictions WHERE media_id IN (SELECT wanted FROM wanted)

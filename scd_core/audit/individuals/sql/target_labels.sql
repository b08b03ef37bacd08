-- target_labels: target_id and name of each target that a person named, in the newest run over its picture.
SELECT target_id, true_id FROM newest_predictions AS predictions
JOIN truth ON truth.media_id = predictions.media_id AND truth.detection_id IS NOT DISTINCT FROM predictions.detection_id
WHERE true_id IS NOT NULL AND list_contains($targets, target_id)

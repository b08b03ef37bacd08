-- labelled_features: features, name and event of each target that a person named, in the newest run over its picture.
SELECT embeddings.features, true_id, coalesce(event_id, predictions.target_id) AS event
FROM newest_predictions AS predictions
JOIN truth ON truth.media_id = predictions.media_id AND truth.detection_id IS NOT DISTINCT FROM predictions.detection_id
JOIN embeddings ON embeddings.batch_key = predictions.batch_key AND embeddings.target_id = predictions.target_id
WHERE embedding_space = $space AND true_id NOT IN ('unknown', 'blank')
ORDER BY predictions.target_id

-- assumed: a sample of the events of `assumed_rows`, as rows of `errors` whose names are right.
WITH sampled AS (SELECT batch_key, target_id, n_frames FROM assumed_rows WHERE hash(event) % $every = 0)
SELECT predictions.batch_key, predictions.model_digest, target_id, media_id, detection_id, predictions.event_id,
    predicted_id, predicted_id AS final_id, predicted_id AS true_id, probability, 'correct' AS error_type,
    true AS is_labelled, false AS is_suspected, true AS is_current, false AS is_masked, false AS is_recovered,
    false AS is_broken, camera_id, deployment_id, captured_at, is_infrared, 1 / $every AS label_probability,
    $every / n_frames AS event_weight, quality
FROM predictions JOIN sampled USING (batch_key, target_id) JOIN media_quality USING (batch_key, media_id)
ORDER BY predictions.batch_key, target_id

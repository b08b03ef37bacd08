-- picture_runs: the runs over the picture, newest first, each with the names that it gave, box by box.
WITH fused AS (SELECT * FROM reclassifications WHERE strategy = 'fused' AND strategy_status = 'ok'),
named AS (
    SELECT predictions.batch_key, list(struct_pack(
        target_id := predictions.target_id, detection_id := predictions.detection_id,
        prediction_status := prediction_status, predicted_id := predictions.predicted_id,
        probability := predictions.probability, suggested_id := CASE WHEN fused.predicted_id <> predictions.predicted_id THEN fused.predicted_id END
    ) ORDER BY predictions.target_id) AS names
    FROM predictions LEFT JOIN fused USING (batch_key, target_id) GROUP BY predictions.batch_key
)
SELECT media.run_id, batch_key, media.model_digest, config_digest, source, started_at, finished_at, versions, device, model_name,
    len(individuals) AS n_individuals, status, coalesce(names, []) AS names
FROM media LEFT JOIN runs USING (batch_key) LEFT JOIN named USING (batch_key)
WHERE media_id = $media_id ORDER BY finished_at DESC NULLS LAST, batch_key DESC

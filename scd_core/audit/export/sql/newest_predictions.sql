-- newest_predictions: predictions of the newest runs with their final names, and errors and suspicions of the newest report.
CREATE OR REPLACE TEMP TABLE newest_predictions AS
WITH fused AS (
    SELECT batch_key, target_id, any_value(predicted_id) AS final_id, any_value(probability) AS final_probability
    FROM reclassifications LEFT JOIN certificates USING (model_digest)
    WHERE strategy = 'fused' AND strategy_status = 'ok' AND (NOT is_flip OR is_taken(probability, min_probability))
    GROUP BY batch_key, target_id
),
verdicts AS (
    SELECT batch_key, target_id, any_value(error_type) AS error_type, any_value(cause) AS cause,
        any_value(suspicion_reasons) AS suspicion_reasons
    FROM errors WHERE is_current GROUP BY batch_key, target_id
)
SELECT predictions.*, finished_at, coalesce(final_id, predicted_id) AS final_id,
    coalesce(final_probability, probability) AS final_probability, error_type, cause, suspicion_reasons
FROM predictions JOIN newest_batches USING (batch_key, media_id)
LEFT JOIN fused USING (batch_key, target_id) LEFT JOIN verdicts USING (batch_key, target_id)

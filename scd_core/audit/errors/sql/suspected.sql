-- suspected: targets with reasons to doubt a name that nobody has checked.
CREATE OR REPLACE TEMP TABLE suspected AS
WITH reasons AS (
    SELECT batch_key, target_id, 'event_disagreement' AS reason FROM predictions
    WHERE prediction_status = 'ok' AND event_predicted_id <> predicted_id
    UNION ALL
    SELECT batch_key, target_id, 'human_flag' FROM predictions
    WHERE prediction_status = 'ok' AND list_contains(flag_reasons, 'human_flag')
    UNION ALL
    SELECT batch_key, target_id, 'impossible_travel' FROM predictions
    SEMI JOIN travellers
        ON travellers.model_digest = predictions.model_digest AND travellers.predicted_id = predictions.predicted_id
        AND travellers.event = coalesce(predictions.event_id, predictions.target_id)
    UNION ALL
    SELECT batch_key, target_id, 'flip_under_mask' FROM reclassifications
    WHERE strategy = 'fused' AND strategy_status = 'ok' AND is_flip
    UNION ALL
    SELECT batch_key, target_id, 'background_reliance' FROM masks
    WHERE mask_status = 'ok' AND contrast_id IS NULL AND background_reliance >= $min_background_reliance
    UNION ALL
    SELECT batch_key, target_id, 'overlay_reliance' FROM masks
    WHERE mask_status = 'ok' AND contrast_id IS NULL AND overlay_reliance >= $min_overlay_reliance
),
doubted AS (SELECT batch_key, target_id, list(DISTINCT reason) AS reasons FROM reasons GROUP BY batch_key, target_id)
SELECT batch_key, target_id, media_id, doubted.reasons FROM predictions JOIN doubted USING (batch_key, target_id)

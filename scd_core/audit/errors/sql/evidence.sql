-- evidence: of each target, what its mask and its re-classifications show.
CREATE OR REPLACE TEMP TABLE evidence AS
WITH masked AS (
    SELECT batch_key, target_id, background_reliance, background_log_odds_drop, overlay_reliance, overlay_log_odds_drop
    FROM masks SEMI JOIN chosen USING (batch_key, target_id)
    WHERE mask_status = 'ok' AND contrast_id IS NULL
    QUALIFY row_number() OVER (PARTITION BY batch_key, target_id ORDER BY method) = 1
),
again AS (
    SELECT batch_key, target_id, any_value(predicted_id) FILTER (strategy = 'fused') AS fused_id,
        any_value(probability) FILTER (strategy = 'fused') AS fused_probability,
        coalesce(bool_or(is_flip) FILTER (strategy = 'box_crop'), false) AS is_box_flip,
        coalesce(bool_or(is_flip) FILTER (strategy = 'early_inside'), false) AS is_inside_flip
    FROM reclassifications SEMI JOIN chosen USING (batch_key, target_id)
    WHERE strategy_status = 'ok' GROUP BY batch_key, target_id
)
SELECT * FROM masked FULL JOIN again USING (batch_key, target_id)

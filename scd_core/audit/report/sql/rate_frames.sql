-- rate_frames: named pictures of the batches with labels, with what may foretell that a name is wrong.
-- All of one in `every` events, with what they count for, and all labelled ones. Measures are rounded, so that few kinds are left.
CREATE OR REPLACE TEMP TABLE rate_frames AS
WITH truths AS (
    SELECT batch_key, target_id, visit_id, error_type <> 'correct' AS is_wrong,
        is_broken OR (error_type <> 'correct' AND NOT is_recovered) AS is_wrong_after, event_weight, label_probability
    FROM errors WHERE is_labelled AND is_current AND event_weight > 0
),
chosen AS (
    SELECT batch_key, target_id, media_id, coalesce(event_id, target_id) AS event, coalesce(predicted_id, '') AS name,
        primary_reason(flag_reasons, inclusion_probability) AS stratum, probability, margin,
        hash(coalesce(event_id, drawn_by(content_number, target_id))) % $every = 0 AS is_drawn
    FROM predictions ANTI JOIN superseded USING (batch_key, media_id)
    WHERE prediction_status = 'ok' AND batch_key IN (SELECT batch_key FROM truths)
        AND (hash(coalesce(event_id, drawn_by(content_number, target_id))) % $every = 0 OR target_id IN (SELECT target_id FROM truths))
),
places AS (
    SELECT batch_key, media_id, min(camera_id) AS camera_id FROM media SEMI JOIN chosen USING (batch_key, media_id) GROUP BY ALL
),
looks AS (
    SELECT batch_key, target_id, bool_or(is_flip) AS is_flip
    FROM reclassifications SEMI JOIN chosen USING (batch_key, target_id)
    WHERE strategy = 'fused' AND strategy_status = 'ok' GROUP BY ALL
),
evidence AS (
    SELECT batch_key, target_id, min_by(background_reliance, method) AS background
    FROM masks SEMI JOIN chosen USING (batch_key, target_id)
    WHERE mask_status = 'ok' AND contrast_id IS NULL GROUP BY ALL
)
SELECT stratum, coalesce(camera_id, '') AS camera, name, coalesce(round(20 * probability) / 20, 0) AS probability,
    coalesce(round(10 * margin) / 10, 0) AS margin,
    -- Of what nobody flagged only the controls are masked, which are what is labelled: so masks foretell nothing there.
    is_flip IS NOT NULL AND stratum <> 'unflagged' AS is_masked, coalesce(is_flip AND stratum <> 'unflagged', false) AS is_flip,
    CASE WHEN stratum <> 'unflagged' THEN coalesce(round(10 * background) / 10, 0) ELSE 0 END AS background,
    CASE WHEN is_drawn THEN $every / count(*) FILTER (is_drawn) OVER (PARTITION BY batch_key, event) END AS stands_for,
    coalesce(visit_id, event) AS visit, is_wrong, is_wrong_after, event_weight, label_probability
FROM chosen LEFT JOIN truths USING (batch_key, target_id) LEFT JOIN looks USING (batch_key, target_id)
    LEFT JOIN evidence USING (batch_key, target_id)
    LEFT JOIN places USING (batch_key, media_id)

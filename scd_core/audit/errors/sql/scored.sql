-- scored: the targets of the report with the name they should have, the kind of error and the weight.
CREATE OR REPLACE TEMP TABLE scored AS
WITH joined AS (
    SELECT predictions.batch_key, model_digest, predictions.target_id, predictions.media_id, detection_id,
        predictions.event_id, event_predicted_id, inclusion_probability,
        primary_reason(flag_reasons, inclusion_probability) AS stratum,
        CASE WHEN prediction_status = 'ok' THEN predicted_id END AS predicted_id,
        CASE WHEN prediction_status = 'ok' THEN probability END AS probability,
        topk, prediction_status, chosen.* EXCLUDE (batch_key, target_id, media_id)
    FROM predictions JOIN chosen USING (batch_key, target_id)
),
known AS (
    SELECT model_digest, unnest(individuals) AS individual_id FROM runs
    UNION SELECT model_digest, predicted_id FROM predictions WHERE predicted_id IS NOT NULL GROUP BY ALL
    UNION SELECT model_digest, unnest(topk).individual_id FROM joined
),
named AS (
    SELECT joined.*, chosen_media.camera_id, chosen_media.deployment_id, captured_at, chosen_media.is_infrared,
        chosen_media.quality, background_reliance, background_log_odds_drop, overlay_reliance, overlay_log_odds_drop,
        coalesce(is_box_flip, false) AS is_box_flip, coalesce(is_inside_flip, false) AS is_inside_flip,
        evidence.target_id IS NOT NULL AS is_masked,
        coalesce(fused_id, joined.predicted_id) AS final_id,
        coalesce(fused_probability, joined.probability) AS final_probability,
        -- the right name for a model of known individuals
        CASE WHEN joined.true_id IS NULL THEN NULL WHEN joined.true_id = 'blank' THEN 'blank'
            WHEN known.individual_id IS NULL THEN 'unknown'
            ELSE joined.true_id END AS right_id,
        coalesce(
            list_filter(topk, lambda candidate: candidate.individual_id = joined.true_id)[1].probability, 0
        ) AS true_probability,
        stratum <> 'unflagged' AS has_flag, visit_id,
        CASE WHEN joined.true_id IS NULL THEN NULL WHEN prediction_status <> 'ok' THEN 1 ELSE probability_of_label END
            AS label_probability,
        1 / (coalesce(n_frames, 1) * label_probability) AS event_weight
    FROM joined
    LEFT JOIN evidence USING (batch_key, target_id)
    LEFT JOIN chosen_media USING (batch_key, media_id)
    LEFT JOIN known ON joined.model_digest = known.model_digest AND joined.true_id = known.individual_id
    LEFT JOIN event_sizes USING (batch_key, event_id)
    LEFT JOIN (SELECT batch_key, stratum, label_probability AS probability_of_label FROM label_strata)
        USING (batch_key, stratum)
    LEFT JOIN visits ON is_current AND joined.batch_key = visits.batch_key
        AND coalesce(joined.event_id, joined.target_id) = event AND coalesce(joined.true_id, joined.predicted_id) = individual
),
-- The names that are compared: a picture without an animal is right where it has no name, or one that means so.
called AS (
    SELECT *,
        CASE WHEN right_id = 'blank' AND coalesce(lower(predicted_id), 'blank') IN ('blank', 'empty', 'nothing', 'none')
            THEN 'blank' ELSE predicted_id END AS called_id,
        CASE WHEN right_id = 'blank' AND coalesce(lower(final_id), 'blank') IN ('blank', 'empty', 'nothing', 'none')
            THEN 'blank' ELSE final_id END AS final_called_id
    FROM named
)
SELECT * EXCLUDE (called_id, final_called_id), right_id IS NOT NULL AND called_id IS DISTINCT FROM right_id AS is_wrong,
    CASE WHEN right_id IS NULL THEN NULL
        WHEN called_id IS NULL THEN 'exclusion'
        WHEN called_id = right_id THEN 'correct'
        WHEN called_id = 'unknown' THEN 'split'
        WHEN right_id IN ('unknown', 'blank') THEN 'combination'
        ELSE 'shift' END AS error_type,
    right_id IS NOT NULL AND called_id IS DISTINCT FROM right_id AND final_called_id IS NOT DISTINCT FROM right_id
        AS is_recovered,
    coalesce(called_id = right_id AND final_called_id IS DISTINCT FROM right_id, false) AS is_broken
FROM called

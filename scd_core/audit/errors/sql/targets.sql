-- targets: the targets of the report, each with what its own batch shows of it.
CREATE OR REPLACE TEMP TABLE targets AS
WITH joined AS (
    SELECT predictions.batch_key, model_digest, predictions.target_id, predictions.media_id, detection_id, content_number,
        predictions.event_id, event_predicted_id, inclusion_probability,
        primary_reason(flag_reasons, inclusion_probability) AS stratum,
        CASE WHEN prediction_status = 'ok' THEN predicted_id END AS predicted_id,
        CASE WHEN prediction_status = 'ok' THEN probability END AS probability,
        coalesce(list_filter(topk, lambda candidate: candidate.individual_id = chosen.true_id)[1].probability, 0)
            AS true_probability,
        prediction_status, gradient_outside, gradient_region, chosen.* EXCLUDE (batch_key, target_id, media_id)
    FROM predictions JOIN chosen USING (batch_key, target_id)
)
SELECT joined.*, chosen_media.camera_id, chosen_media.deployment_id, captured_at, chosen_media.is_infrared,
    chosen_media.quality, background_reliance, background_log_odds_drop, overlay_reliance, overlay_log_odds_drop,
    coalesce(is_box_flip, false) AS is_box_flip, coalesce(is_inside_flip, false) AS is_inside_flip,
    evidence.target_id IS NOT NULL AS is_masked,
    coalesce(fused_id, joined.predicted_id) AS final_id,
    coalesce(fused_probability, joined.probability) AS final_probability,
    coalesce(n_frames, 1) AS n_frames, visit_id
FROM joined
LEFT JOIN evidence USING (batch_key, target_id)
LEFT JOIN chosen_media USING (batch_key, media_id)
LEFT JOIN event_sizes USING (batch_key, event_id)
LEFT JOIN visits ON is_current AND joined.batch_key = visits.batch_key
    AND coalesce(joined.event_id, joined.target_id) = event AND coalesce(joined.true_id, joined.predicted_id) = individual

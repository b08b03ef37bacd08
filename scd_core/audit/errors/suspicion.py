"""Reasons to doubt a name that nobody has checked."""

from __future__ import annotations

__all__ = ["SUSPICION_REASONS", "SUSPICION_SQL"]

SUSPICION_REASONS = {
    "event_disagreement": "the frames of the event together name another individual",
    "impossible_travel": "the same individual is named elsewhere at a time that it could not have travelled in",
    "flip_under_mask": "the name changed under the mask",
    "background_reliance": "most of the evidence lies outside the animal",
    "overlay_reliance": "part of the evidence lies on burned-in strips",
    "human_flag": "a person flagged it",
    "label_conflict": "labels of one moment name different individuals",
}
"""Reason -> what it says, in words."""

# Two events of one name whose deployments lie further apart than the animal can move in between: one of them is wrong, and
# which one is not known, so both are in doubt.
SUSPICION_SQL = """
    CREATE OR REPLACE TEMP TABLE suspected AS
    WITH places AS (
        SELECT batch_key, media_id, captured_at, latitude, longitude FROM media
        WHERE latitude IS NOT NULL AND longitude IS NOT NULL AND captured_at IS NOT NULL
    ),
    stays AS (
        SELECT batch_key, model_digest, predictions.event_id, predicted_id, min(captured_at) AS captured_at,
            any_value(latitude) AS latitude, any_value(longitude) AS longitude
        FROM predictions JOIN places USING (batch_key, media_id)
        WHERE prediction_status = 'ok' AND predicted_id <> 'unknown' AND event_id IS NOT NULL
        GROUP BY batch_key, model_digest, event_id, predicted_id
    ),
    moves AS (
        SELECT *, lag(event_id) OVER path AS from_event, lag(batch_key) OVER path AS from_batch,
            epoch(captured_at) - epoch(lag(captured_at) OVER path) AS seconds,
            12742 * asin(sqrt(least(1, pow(sin(radians(latitude - lag(latitude) OVER path) / 2), 2)
                + cos(radians(latitude)) * cos(radians(lag(latitude) OVER path))
                * pow(sin(radians(longitude - lag(longitude) OVER path) / 2), 2)))) AS kilometres
        FROM stays WINDOW path AS (PARTITION BY model_digest, predicted_id ORDER BY captured_at, event_id)
    ),
    impossible AS (
        SELECT * FROM moves WHERE from_event <> event_id AND kilometres > greatest(0.2, $max_speed_kmh * seconds / 3600)
    ),
    travellers AS (
        SELECT batch_key, event_id, predicted_id FROM impossible
        UNION SELECT from_batch, from_event, predicted_id FROM impossible
    ),
    reasons AS (
        SELECT batch_key, target_id, 'event_disagreement' AS reason FROM predictions
        WHERE prediction_status = 'ok' AND event_predicted_id <> predicted_id
        UNION ALL
        SELECT batch_key, target_id, 'human_flag' FROM predictions
        WHERE prediction_status = 'ok' AND list_contains(flag_reasons, 'human_flag')
        UNION ALL
        SELECT batch_key, target_id, 'impossible_travel' FROM predictions
        SEMI JOIN travellers USING (batch_key, event_id, predicted_id)
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
"""
"""Makes the temporary table ``suspected`` (batch_key, target_id, media_id, reasons) from the audit's tables."""

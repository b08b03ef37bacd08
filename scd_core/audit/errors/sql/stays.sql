-- stays: where and when (seconds in UTC) a batch's model names an individual, once per event; rows without time or place are left out.
CREATE OR REPLACE TEMP TABLE stays AS
WITH sightings AS (
    SELECT batch_key, predictions.model_digest, coalesce(predictions.event_id, target_id) AS event, predicted_id,
        epoch(captured_at) - 60 * coalesce(utc_offset_minutes, 0) AS moment, latitude, longitude
    FROM predictions JOIN media USING (batch_key, media_id)
    WHERE prediction_status = 'ok' AND predicted_id <> 'unknown'
        AND captured_at IS NOT NULL AND isfinite(latitude + longitude)
)
SELECT batch_key, model_digest, event, predicted_id, min(moment) AS first_at, max(moment) AS last_at,
    min(latitude) AS latitude, min(longitude) AS longitude
FROM sightings GROUP BY batch_key, model_digest, event, predicted_id

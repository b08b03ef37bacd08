-- stays: where and when (seconds in UTC) a model names an individual, once per event; rows without time or place are left out.
CREATE OR REPLACE TEMP TABLE stays AS
WITH sightings AS (
    SELECT predictions.model_digest, coalesce(predictions.event_id, target_id) AS event, predicted_id,
        epoch(captured_at) - 60 * coalesce(utc_offset_minutes, 0) AS moment, latitude, longitude
    FROM predictions JOIN media USING (batch_key, media_id)
    WHERE prediction_status = 'ok' AND predicted_id <> 'unknown'
        AND captured_at IS NOT NULL AND isfinite(latitude + longitude)
),
events AS (
    SELECT model_digest, event, predicted_id, min(moment) AS first_at, max(moment) AS last_at,
        any_value(latitude) AS latitude, any_value(longitude) AS longitude
    FROM sightings GROUP BY model_digest, event, predicted_id
)
SELECT *, dense_rank() OVER (ORDER BY model_digest, predicted_id) AS name FROM events

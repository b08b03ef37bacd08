-- cells: visits of a batch by what slices are made of, and by whether a picture of theirs is flagged or labelled.
-- `captured_at` is the Monday of the visit's week, at the visit's hour: all that slices take of the time.
CREATE OR REPLACE TEMP TABLE cells AS
WITH whole AS (
    SELECT batch_key, visit_id, bool_or(is_flagged) AS is_flagged, bool_or(is_labelled) AS is_labelled,
        min(model_digest) AS model_digest, min(camera_id) AS camera_id, min(deployment_id) AS deployment_id,
        min(individual) AS predicted_id, bool_or(is_infrared) AS is_infrared, min(quality) AS quality,
        min(first_at) AS first_at
    FROM visits GROUP BY batch_key, visit_id
)
SELECT batch_key, model_digest, camera_id, deployment_id, predicted_id, is_infrared, quality,
    date_trunc('week', first_at)::TIMESTAMP + to_hours(hour(first_at)) AS captured_at,
    is_flagged, is_labelled, count(*) AS n_visits
FROM whole GROUP BY ALL

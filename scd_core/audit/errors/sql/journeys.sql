-- journeys: the stays of each model and individual, those of one event in several batches as one.
CREATE OR REPLACE TEMP TABLE journeys AS
WITH events AS (
    SELECT model_digest, event, predicted_id, min(first_at) AS first_at, max(last_at) AS last_at,
        min(latitude) AS latitude, min(longitude) AS longitude
    FROM stays GROUP BY model_digest, event, predicted_id
)
SELECT *, dense_rank() OVER (ORDER BY model_digest, predicted_id) AS name FROM events

-- near: the pictures of one name at one camera as one that is drawn first in its batch, of which its visit is made.
-- Of more than 200 such none is here: they are looked up where they are needed.
CREATE OR REPLACE TEMP TABLE near AS
WITH firsts AS MATERIALIZED (
    SELECT DISTINCT batch_key, individual, camera_id
    FROM (SELECT batch_key, unnest(firsts, recursive := true) FROM lots) JOIN media USING (batch_key, media_id)
),
named AS (
    SELECT batch_key, target_id, media_id, event_id, coalesce(event_predicted_id, predicted_id) AS individual,
        drawn_by(content_number, target_id) AS drawn_by
    FROM predictions WHERE prediction_status = 'ok'
)
SELECT named.batch_key, target_id, named.event_id, named.individual, media.camera_id, captured_at, drawn_by
FROM named SEMI JOIN firsts USING (batch_key, individual)
JOIN media ON named.batch_key = media.batch_key AND named.media_id = media.media_id
SEMI JOIN firsts places ON named.batch_key = places.batch_key AND named.individual = places.individual
    AND media.camera_id IS NOT DISTINCT FROM places.camera_id
QUALIFY count(*) OVER (PARTITION BY named.batch_key, named.individual, media.camera_id) <= 200

-- totals_media: pictures of the whole audit, each once, whatever the number of models that saw it.
-- Grouping by a hash of 64 bits rather than by the id itself takes a third of the memory; at 20 million rows the chance
-- that two ids share one is 1 in 100 000.
WITH each AS (
    SELECT hash(media_id) AS id, any_value(status) AS status, min(captured_at) AS captured_at,
        any_value(camera_id) AS camera_id
    FROM media GROUP BY id
)
SELECT count(*) AS n_media, count(*) FILTER (status NOT IN ('ok', 'duplicate')) AS n_quarantined,
    count(*) FILTER (status = 'duplicate') AS n_duplicates, min(captured_at) AS first_captured_at,
    max(captured_at) AS last_captured_at, count(DISTINCT camera_id) AS n_cameras
FROM each

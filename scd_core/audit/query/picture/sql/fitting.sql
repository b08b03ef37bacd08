-- fitting: media that an id, an address, a path or the end of a path fits, of those that it fits best; first those that changed last.
WITH found AS (
    SELECT media_id, batch_key, uri, file, captured_at, last_modified_at,
        CASE WHEN media_id = $wanted OR starts_with($wanted, media_id || ':') THEN 0
            WHEN uri = $path OR file = $path THEN 1
            WHEN ends_with(uri, $ending) THEN 2 END AS place
    FROM every_media
)
SELECT media_id, any_value(uri) AS uri, any_value(file) AS file, any_value(captured_at) AS captured_at,
    max(last_modified_at) AS last_modified_at, list(DISTINCT batch_key) AS batch_keys, count(*) OVER () AS n_fitting
FROM found WHERE place = (SELECT min(place) FROM found)
GROUP BY media_id ORDER BY last_modified_at DESC, file, media_id LIMIT $most

-- fitting_any_spelling: as fitting, for a path that differs in case or in its Unicode form only.
WITH media_spelled AS (
    SELECT media_id, batch_key, uri, file, captured_at, last_modified_at, lower(nfc_normalize(uri)) AS spelled
    FROM every_media
)
SELECT media_id, any_value(uri) AS uri, any_value(file) AS file, any_value(captured_at) AS captured_at,
    max(last_modified_at) AS last_modified_at, list(DISTINCT batch_key) AS batch_keys, count(*) OVER () AS n_fitting
FROM media_spelled
WHERE spelled = lower(nfc_normalize($path)) OR ends_with(spelled, lower(nfc_normalize($ending)))
GROUP BY media_id ORDER BY last_modified_at DESC, file, media_id LIMIT $most

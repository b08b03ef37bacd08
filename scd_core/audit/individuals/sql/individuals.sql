-- individuals: one row per individual, known by a name that a person gave, else by the model's, or a candidate for a new one.
-- whose: see whose.sql. resembling: candidate and the known ones that it is like.
-- suspecting: individual and what is suspected of it.
WITH pairs AS (
    SELECT label_id, final_id, count(*) AS n FROM whose
    WHERE label_id IS NOT NULL AND final_id NOT IN (label_id, 'unknown') GROUP BY ALL
),
confusions AS (
    SELECT label_id AS individual_id, string_agg(final_id || ' ' || n, ', ' ORDER BY n DESC, final_id) AS confused_with
    FROM pairs GROUP BY ALL
),
answers AS (
    SELECT candidate AS individual_id, string_agg(DISTINCT label_id, ', ' ORDER BY label_id) AS labelled_as
    FROM whose WHERE candidate IS NOT NULL AND label_id IS NOT NULL GROUP BY ALL
)
SELECT whose.individual_id, CASE WHEN bool_or(is_candidate) THEN 'candidate' ELSE 'known' END AS kind,
    count(*) AS n_pictures, count(label_id) AS n_labelled, count(DISTINCT camera_id) AS n_cameras,
    min(captured_at) AS first_seen, max(captured_at) AS last_seen, any_value(confused_with) AS confused_with,
    any_value(resembles) AS resembles, any_value(labelled_as) AS labelled_as,
    any_value(suspected) AS suspected
FROM whose LEFT JOIN newest_media USING (media_id)
LEFT JOIN confusions USING (individual_id) LEFT JOIN answers USING (individual_id)
LEFT JOIN resembling USING (individual_id) LEFT JOIN suspecting USING (individual_id)
WHERE whose.individual_id IS NOT NULL
GROUP BY whose.individual_id ORDER BY kind DESC, n_pictures DESC, whose.individual_id

-- suspect_pictures: pictures of known individuals with their features, one of each event and at most $most of a name.
-- They are of the embedding space that most of them have.
WITH found AS (
    SELECT whose.target_id, whose.media_id, whose.individual_id AS name, flank, label_id IS NOT NULL AS is_labelled,
        embedding_space, features, coalesce(event_id, whose.media_id) AS event, file, camera_id, captured_at, content_number
    FROM whose JOIN embeddings USING (batch_key, target_id) LEFT JOIN newest_media ON whose.media_id = newest_media.media_id
    WHERE NOT is_candidate AND individual_id IS NOT NULL AND individual_id <> 'unknown'
),
one_space AS (SELECT embedding_space FROM found GROUP BY embedding_space ORDER BY count(*) DESC, embedding_space LIMIT 1),
visits AS (
    SELECT * FROM found SEMI JOIN one_space USING (embedding_space)
    QUALIFY row_number() OVER (PARTITION BY name, event ORDER BY is_labelled DESC, content_number, target_id) = 1
)
SELECT * FROM visits
QUALIFY row_number() OVER (PARTITION BY name ORDER BY is_labelled DESC, content_number, target_id) <= $most
ORDER BY name, target_id

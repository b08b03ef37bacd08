-- embedded_known: features of pictures of one embedding space whose individual is known well enough, at most 20 of each.
-- name: what a person said, else what the model is sure of.
SELECT target_id, coalesce(label_id, final_id) AS name, features
FROM embeddings JOIN newest_batches USING (batch_key, media_id) JOIN whose USING (batch_key, target_id)
WHERE embedding_space = $space
    AND (label_id IS NOT NULL OR (final_id <> 'unknown' AND probability >= $sure))
QUALIFY row_number() OVER (
    PARTITION BY coalesce(label_id, final_id) ORDER BY label_id IS NULL, hash(target_id), target_id
) <= 20
ORDER BY name, target_id
LIMIT 5000

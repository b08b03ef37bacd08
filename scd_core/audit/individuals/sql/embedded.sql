-- embedded: features of some targets, in the newest run over each.
SELECT target_id, embedding_space, features FROM embeddings
JOIN newest_batches USING (batch_key, media_id)
WHERE list_contains($targets, target_id)

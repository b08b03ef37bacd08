-- candidate_pictures: pictures of possible new individuals in one embedding space, the newest batches first.
-- A candidate that was merged is left out: its pictures are shown with the one that it was merged into.
SELECT candidate_id, batch_key, target_id, media_id, embedding FROM candidates
WHERE embedding IS NOT NULL AND embedding_space = $space
    AND candidate_id NOT IN (SELECT candidate_id FROM candidates WHERE merged_into IS NOT NULL)
QUALIFY row_number() OVER (PARTITION BY target_id ORDER BY coalesce(n_moves, 0) DESC, candidate_id) = 1
ORDER BY batch_date DESC, batch_key DESC, target_id LIMIT $limit

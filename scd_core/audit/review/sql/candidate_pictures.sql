-- candidate_pictures: pictures of possible new individuals in one embedding space, the newest batches first.
-- A candidate that was merged is left out: its pictures are shown with the one that it was merged into.
-- A picture that left a candidate is in the last one that it left it for.
WITH moved AS (
    SELECT target_id, arg_max(candidate_id, (version, candidate_id)) AS moved_id FROM candidates
    WHERE change = 'split' GROUP BY target_id
)
SELECT candidate_id, batch_key, target_id, media_id, embedding FROM candidates LEFT JOIN moved USING (target_id)
WHERE coalesce(moved_id, candidate_id) = candidate_id AND embedding IS NOT NULL AND embedding_space = $space
    AND candidate_id NOT IN (SELECT candidate_id FROM candidates WHERE merged_into IS NOT NULL)
ORDER BY batch_date DESC, batch_key DESC, target_id LIMIT $limit

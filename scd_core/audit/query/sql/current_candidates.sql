-- current_candidates: which possible new individual does each unknown picture belong to now, after merges and splits?
-- `predictions.candidate_id` is what was known on the night of the picture.
WITH RECURSIVE merges AS (
    SELECT candidate_id, min(merged_into) AS merged_into FROM candidates WHERE merged_into IS NOT NULL GROUP BY candidate_id
),
followed AS (
    SELECT candidate_id, merged_into AS home FROM merges
    UNION
    SELECT followed.candidate_id, merges.merged_into FROM followed JOIN merges ON merges.candidate_id = followed.home
),
homes AS (SELECT candidate_id, min(home) AS home FROM followed WHERE home NOT IN (SELECT candidate_id FROM merges) GROUP BY candidate_id),
spaces AS (SELECT batch_key, min(embedding_space) AS embedding_space FROM candidates GROUP BY batch_key),
moved AS (
    SELECT target_id, embedding_space, first(candidate_id ORDER BY n_moves DESC, candidate_id) AS moved_to
    FROM candidates WHERE n_moves > 0 GROUP BY ALL
),
own AS (
    SELECT batch_key, target_id, media_id, coalesce(moved_to, predictions.candidate_id) AS candidate_id
    FROM predictions LEFT JOIN spaces USING (batch_key) LEFT JOIN moved USING (target_id, embedding_space)
    WHERE predictions.candidate_id IS NOT NULL
)
SELECT batch_key, target_id, media_id, coalesce(home, candidate_id) AS candidate_id
FROM own LEFT JOIN homes USING (candidate_id)

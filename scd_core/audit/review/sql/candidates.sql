-- candidates: unknowns that look like one new individual, group by group, those first that a label helps most.
-- A candidate that was merged is the one that it was merged into, at any remove; a picture that left a candidate is in the last
-- one that it left it for.
WITH RECURSIVE finished AS (SELECT batch_key, max(finished_at) AS finished_at FROM runs GROUP BY batch_key),
merges AS (
    SELECT candidate_id, arg_max(merged_into, version) AS merged_into FROM candidates
    WHERE merged_into IS NOT NULL GROUP BY candidate_id
),
followed AS (
    SELECT candidate_id, merged_into AS home FROM merges
    UNION
    SELECT followed.candidate_id, merges.merged_into FROM followed JOIN merges ON merges.candidate_id = followed.home
),
homes AS (SELECT candidate_id, home FROM followed WHERE home NOT IN (SELECT candidate_id FROM merges)),
moved AS (
    SELECT target_id, arg_max(candidate_id, (version, candidate_id)) AS moved_id FROM candidates
    WHERE change = 'split' GROUP BY target_id
),
put AS (
    SELECT predictions.* REPLACE (coalesce(moved_id, candidate_id) AS candidate_id)
    FROM predictions LEFT JOIN moved USING (target_id) WHERE candidate_id IS NOT NULL
),
unknowns AS (
    SELECT batch_key, target_id, media_id, detection_id, content_number, coalesce(home, put.candidate_id) AS candidate_id, review_rank
    FROM put LEFT JOIN homes USING (candidate_id)
),
newest AS (
    SELECT media_id, arg_max(batch_key, (finished_at, batch_key)) AS batch_key
    FROM predictions SEMI JOIN unknowns USING (media_id) JOIN finished USING (batch_key) GROUP BY media_id
),
grouped AS (
    SELECT *, count(*) OVER (PARTITION BY candidate_id) AS n, min(review_rank) OVER (PARTITION BY candidate_id) AS first_rank
    FROM unknowns SEMI JOIN newest USING (batch_key, media_id)
)
SELECT 'candidates' AS queue, row_number() OVER (ORDER BY first_rank, candidate_id, target_id) AS place, batch_key, target_id,
    media_id, detection_id, content_number, candidate_id AS group_id, n || ' pictures look like one new individual' AS reason,
    NULL::DOUBLE AS queue_probability, []::VARCHAR[] AS said, NULL::VARCHAR AS labelled_by
FROM grouped WHERE n > 1 ORDER BY place LIMIT $limit

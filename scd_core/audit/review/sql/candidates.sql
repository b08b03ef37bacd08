-- candidates: unknowns that look like one new individual, group by group, those first that a label helps most.
-- current_candidates: see the view of this name.
WITH finished AS (SELECT batch_key, max(finished_at) AS finished_at FROM runs GROUP BY batch_key),
unknowns AS (
    SELECT batch_key, target_id, predictions.media_id, detection_id, content_number, current_candidates.candidate_id, review_rank
    FROM predictions JOIN current_candidates USING (batch_key, target_id)
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

-- single_errors: wrong names that no systematic error holds, one a visit, in the order of a hash, with the counts of all of them.
WITH singles AS (
    SELECT *, count(*) OVER () AS n_errors, count(*) FILTER (is_masked) OVER () AS n_masked,
        count(*) FILTER (is_recovered) OVER () AS n_recovered
    FROM errors
    WHERE is_current AND is_labelled AND error_type <> 'correct'
        AND target_id NOT IN (SELECT target_id FROM slice_pictures)
)
SELECT media_id, n_errors, n_masked, n_recovered FROM singles
QUALIFY row_number() OVER (PARTITION BY coalesce(visit_id, event_id, target_id) ORDER BY md5(drawn_by(content_number, target_id)), target_id) = 1
ORDER BY md5(drawn_by(content_number, target_id)), target_id LIMIT $limit

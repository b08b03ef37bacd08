-- near_pairs: two known individuals, the true one a near miss in at least half of the pictures given the other name, 3 visits or more.
CREATE OR REPLACE TEMP TABLE near_pairs AS
SELECT true_id, predicted_id, count(*) FILTER (is_near) AS n_near, count(*) AS n_pictures
FROM (
    SELECT *, true_probability >= $confusable_probability::FLOAT AS is_near FROM scored
    WHERE is_wrong AND is_current AND predicted_id <> 'unknown' AND true_id NOT IN ('unknown', 'blank')
)
GROUP BY true_id, predicted_id
HAVING 2 * n_near >= n_pictures AND count(DISTINCT coalesce(visit_id, event_id, target_id)) FILTER (is_near) >= 3

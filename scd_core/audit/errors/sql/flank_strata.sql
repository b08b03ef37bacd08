-- flank_strata: visits of one flank at one camera that err, and those of the other flank there; only what erred thrice.
-- Of each individual and wrong name, of each individual, and of all individuals (`true_id` and `predicted_id` null).
-- n_like: visits on which an error could fall by chance: this flank of all individuals at that camera.
-- An animal may have a way of its own past a camera, so its other flank was seen there too, or it errs so elsewhere.
WITH known AS (FROM seen WHERE flank IS NOT NULL),
counted AS (
    SELECT true_id, camera, flank, count(DISTINCT visit) AS n, count(DISTINCT visit) FILTER (is_wrong) AS x
    FROM known GROUP BY ALL
),
-- Both flanks, also where one was never seen.
cells AS (
    SELECT true_id, camera, flank, coalesce(x, 0) AS x, coalesce(n, 0) AS n,
        (sum(coalesce(n, 0)) OVER (PARTITION BY camera, flank))::BIGINT AS n_like
    FROM (SELECT DISTINCT true_id, camera FROM known) CROSS JOIN (SELECT DISTINCT flank FROM known)
    LEFT JOIN counted USING (true_id, camera, flank)
),
names AS (
    SELECT true_id, camera, flank, predicted_id, count(DISTINCT visit) AS x
    FROM known WHERE is_wrong AND predicted_id IS NOT NULL GROUP BY ALL
),
levels AS (
    SELECT true_id, predicted_id, true_id AS animal, camera, flank, coalesce(names.x, 0) AS x, n, n_like
    FROM cells JOIN (SELECT DISTINCT true_id, predicted_id FROM names) USING (true_id)
    LEFT JOIN names USING (true_id, camera, flank, predicted_id)
    UNION ALL SELECT true_id, NULL, true_id, camera, flank, x, n, n_like FROM cells
    UNION ALL SELECT NULL, NULL, true_id, camera, flank, x, n, n FROM cells
),
compared AS (
    SELECT *, (sum(x) OVER stratum)::BIGINT - x AS x_others, (sum(n) OVER stratum)::BIGINT - n AS n_others,
        (sum(n_like) OVER stratum)::BIGINT - n_like AS n_like_others
    FROM levels WINDOW stratum AS (PARTITION BY true_id, predicted_id, animal, camera)
)
SELECT true_id, predicted_id, flank, x, n, x_others, n_others, n_like, n_like_others FROM compared
WINDOW of_flank AS (PARTITION BY true_id, predicted_id, flank)
QUALIFY sum(x) OVER of_flank >= 3
    AND (arg_max(n_others, (x, camera, animal)) OVER of_flank > 0 OR sum(x) OVER of_flank - max(x) OVER of_flank >= 2)

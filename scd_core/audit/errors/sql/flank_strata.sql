-- flank_strata: visits of one flank at one camera that err, and those of the other flank there; only what erred thrice.
-- Of each individual and wrong name, of each individual, and of all individuals (`true_id` and `predicted_id` null).
WITH known AS (FROM seen WHERE flank IS NOT NULL),
cells AS (
    SELECT true_id, camera, flank, count(DISTINCT visit) AS n, count(DISTINCT visit) FILTER (is_wrong) AS x
    FROM known GROUP BY ALL
),
names AS (
    SELECT true_id, camera, flank, predicted_id, count(DISTINCT visit) AS x
    FROM known WHERE is_wrong AND predicted_id IS NOT NULL GROUP BY ALL
),
levels AS (
    SELECT true_id, predicted_id, true_id AS animal, camera, flank, coalesce(names.x, 0) AS x, n
    FROM cells JOIN (SELECT DISTINCT true_id, predicted_id FROM names) USING (true_id)
    LEFT JOIN names USING (true_id, camera, flank, predicted_id)
    UNION ALL SELECT true_id, NULL, true_id, camera, flank, x, n FROM cells
    UNION ALL SELECT NULL, NULL, true_id, camera, flank, x, n FROM cells
),
compared AS (
    SELECT *, sum(x) OVER stratum - x AS x_others, sum(n) OVER stratum - n AS n_others FROM levels
    WINDOW stratum AS (PARTITION BY true_id, predicted_id, animal, camera)
)
SELECT true_id, predicted_id, flank, x, n, x_others, n_others FROM compared WHERE n_others > 0
QUALIFY sum(x) OVER (PARTITION BY true_id, predicted_id, flank) >= 3

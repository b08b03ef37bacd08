-- place_strata: names that three or more individuals are mostly given at a camera, as half of those who err there are.
-- Counts are of visits called so there and elsewhere, without the individual that is called so most often and the name's own.
WITH animals AS (
    SELECT camera, true_id, count(DISTINCT visit) AS n, count(DISTINCT visit) FILTER (is_wrong) AS n_wrong
    FROM seen WHERE true_id <> 'blank' GROUP BY ALL
),
calls AS (
    SELECT camera, predicted_id, true_id, count(DISTINCT visit) AS x
    FROM seen WHERE is_wrong AND predicted_id IS NOT NULL AND true_id <> 'blank' GROUP BY ALL
),
erring AS (SELECT camera, count(*) AS n_erring FROM animals WHERE n_wrong > 0 GROUP BY camera),
shared AS (
    SELECT camera, predicted_id, arg_max(true_id, (x, true_id)) AS most, count(*) AS n_individuals, sum(x)::BIGINT AS n_called
    FROM calls JOIN animals USING (camera, true_id) JOIN erring USING (camera)
    WHERE camera <> '' GROUP BY camera, predicted_id, n_erring
    HAVING count(*) FILTER (2 * x > n_wrong) >= greatest(3, n_erring / 2)
)
SELECT shared.camera, shared.predicted_id, any_value(n_individuals) AS n_individuals, any_value(n_called) AS n_called,
    coalesce(sum(x) FILTER (animals.camera = shared.camera), 0) AS x,
    sum(n) FILTER (animals.camera = shared.camera) AS n,
    coalesce(sum(x) FILTER (animals.camera <> shared.camera), 0) AS x_others,
    sum(n) FILTER (animals.camera <> shared.camera) AS n_others
FROM shared JOIN animals ON animals.true_id <> most AND animals.true_id <> shared.predicted_id
LEFT JOIN calls ON calls.camera = animals.camera AND calls.true_id = animals.true_id
    AND calls.predicted_id = shared.predicted_id
GROUP BY ALL HAVING n_others > 0

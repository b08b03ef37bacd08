-- repeated_pairs: individuals that are given one wrong name wherever they are.
-- At least 3 visits and a fifth of the individual's; away from the camera where that is commonest again at least 2 and a fifth.
CREATE OR REPLACE TEMP TABLE repeated_pairs AS
WITH pairs AS (
    SELECT true_id, predicted_id, coalesce(camera_id, '') AS camera, count(DISTINCT coalesce(visit_id, event_id, target_id)) AS n,
        sum(event_weight) AS weight
    FROM scored WHERE is_wrong AND is_current AND predicted_id <> 'unknown' AND true_id NOT IN ('unknown', 'blank')
    GROUP BY ALL
),
animals AS (
    SELECT true_id, coalesce(camera_id, '') AS camera, sum(event_weight) AS weight
    FROM scored WHERE right_id IS NOT NULL AND is_current GROUP BY ALL
),
places AS (
    SELECT true_id, predicted_id, sum(n) AS n, sum(weight) AS weight, arg_max(camera, (n, camera)) AS most, max(n) AS n_most,
        count(*) AS n_places, arg_max(weight, (n, camera)) AS weight_most
    FROM pairs GROUP BY ALL HAVING sum(n) >= 3 AND sum(n) - max(n) >= 2
)
SELECT places.true_id, predicted_id, any_value(n_places) AS n_places FROM places JOIN animals USING (true_id)
GROUP BY places.true_id, predicted_id, places.weight, weight_most, most
HAVING places.weight >= 0.2 * sum(animals.weight)
    AND places.weight - weight_most >= 0.2 * sum(animals.weight) FILTER (camera <> most)

-- labeller_strata: visits of two individuals at one place, alike in being flagged: which one labeller and the others call amiss.
-- x: labelled `true_id` where the model names `predicted_id`; n: these, and the visits of both on which label and model agree.
-- n_like: visits on which such a label could fall by chance: all that the labeller, or the others, labelled there.
-- Only at the cameras where the labeller said so, and only what was said thrice.
WITH cells AS (
    SELECT true_id, predicted_id, is_wrong, camera, place, has_reason, labelled_by AS person, count(DISTINCT visit) AS n
    FROM seen WHERE predicted_id IS NOT NULL AND labelled_by IS NOT NULL AND place IS NOT NULL GROUP BY ALL
),
said AS (
    SELECT true_id, predicted_id, person AS labelled_by, camera FROM cells WHERE is_wrong GROUP BY true_id, predicted_id, person, camera
    QUALIFY sum(sum(n)) OVER (PARTITION BY true_id, predicted_id, person) >= 3
),
places AS (SELECT DISTINCT true_id, predicted_id, camera FROM said),
of_pair AS (
    SELECT true_id, predicted_id, camera, place, has_reason, person, n AS x, n
    FROM cells SEMI JOIN places USING (true_id, predicted_id, camera) WHERE is_wrong
    UNION ALL
    SELECT places.true_id, places.predicted_id, camera, place, has_reason, person, 0, n
    FROM cells JOIN places USING (true_id, camera) WHERE NOT is_wrong
    UNION ALL
    SELECT places.true_id, places.predicted_id, cells.camera, place, has_reason, person, 0, n
    FROM cells JOIN places ON cells.true_id = places.predicted_id AND cells.camera = places.camera
    WHERE NOT is_wrong AND places.predicted_id <> places.true_id
),
counted AS (
    SELECT true_id, predicted_id, labelled_by, place, has_reason, coalesce(sum(x) FILTER (person = labelled_by), 0) AS x,
        coalesce(sum(n) FILTER (person = labelled_by), 0) AS n, sum(x) AS x_all, sum(n) AS n_all
    FROM said JOIN of_pair USING (true_id, predicted_id, camera) GROUP BY ALL
),
likes AS (
    SELECT place, has_reason, labelled_by, count(DISTINCT visit) AS n_like
    FROM seen WHERE labelled_by IS NOT NULL AND place IS NOT NULL GROUP BY ALL
),
whole AS (SELECT place, has_reason, sum(n_like) AS n_like_all FROM likes GROUP BY ALL)
SELECT true_id, predicted_id, labelled_by, place, x, n, x_all - x AS x_others, n_all - n AS n_others,
    coalesce(n_like, 0) AS n_like, n_like_all - coalesce(n_like, 0) AS n_like_others
FROM counted JOIN whole USING (place, has_reason) LEFT JOIN likes USING (place, has_reason, labelled_by)

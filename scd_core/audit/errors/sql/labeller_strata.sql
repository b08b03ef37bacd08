-- labeller_strata: visits of two individuals at one place, alike in being flagged: which one labeller and the others call amiss.
-- x: labelled `true_id` where the model names `predicted_id`; n: these, and the visits of both on which label and model agree.
-- Only where others label too, and only what the labeller said thrice.
WITH cells AS (
    SELECT true_id, predicted_id, is_wrong, place, has_reason, labelled_by, count(DISTINCT visit) AS n
    FROM seen WHERE predicted_id IS NOT NULL AND labelled_by IS NOT NULL AND place IS NOT NULL GROUP BY ALL
),
said AS (
    SELECT true_id, predicted_id, labelled_by FROM cells WHERE is_wrong GROUP BY ALL HAVING sum(n) >= 3
),
pairs AS (SELECT DISTINCT true_id, predicted_id FROM said),
of_pair AS (
    SELECT true_id, predicted_id, place, has_reason, labelled_by, n AS x, n
    FROM cells JOIN pairs USING (true_id, predicted_id) WHERE is_wrong
    UNION ALL
    SELECT pairs.true_id, pairs.predicted_id, place, has_reason, labelled_by, 0, n
    FROM cells JOIN pairs ON cells.true_id = pairs.true_id WHERE NOT is_wrong
    UNION ALL
    SELECT pairs.true_id, pairs.predicted_id, place, has_reason, labelled_by, 0, n
    FROM cells JOIN pairs ON cells.true_id = pairs.predicted_id WHERE NOT is_wrong
),
each AS (
    SELECT true_id, predicted_id, place, has_reason, labelled_by, sum(x)::BIGINT AS x, sum(n)::BIGINT AS n
    FROM of_pair GROUP BY ALL
),
compared AS (
    SELECT *, (sum(x) OVER stratum)::BIGINT - x AS x_others, (sum(n) OVER stratum)::BIGINT - n AS n_others FROM each
    WINDOW stratum AS (PARTITION BY true_id, predicted_id, place, has_reason)
)
SELECT * EXCLUDE (has_reason) FROM compared SEMI JOIN said USING (true_id, predicted_id, labelled_by) WHERE n_others > 0
QUALIFY sum(x) OVER (PARTITION BY true_id, predicted_id, labelled_by) >= 3

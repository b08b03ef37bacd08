-- labeller_visits: of some pairs and labellers, the visits of both individuals at all places where the labeller labelled, by all.
-- x: labelled `true_id` where the model names `predicted_id`; n: these, and the visits of both on which label and model agree.
WITH cells AS (
    SELECT true_id, predicted_id, is_wrong, place, has_reason, labelled_by AS person, count(DISTINCT visit) AS n
    FROM seen WHERE predicted_id IS NOT NULL AND labelled_by IS NOT NULL AND place IS NOT NULL GROUP BY ALL
),
looked AS (SELECT DISTINCT place, has_reason, person AS labelled_by FROM cells),
pairs AS (SELECT DISTINCT true_id, predicted_id FROM doubted),
of_pair AS (
    SELECT true_id, predicted_id, place, has_reason, person, n AS x, n
    FROM cells SEMI JOIN pairs USING (true_id, predicted_id) WHERE is_wrong
    UNION ALL
    SELECT pairs.true_id, pairs.predicted_id, place, has_reason, person, 0, n
    FROM cells JOIN pairs USING (true_id) WHERE NOT is_wrong
    UNION ALL
    SELECT pairs.true_id, pairs.predicted_id, place, has_reason, person, 0, n
    FROM cells JOIN pairs ON cells.true_id = pairs.predicted_id WHERE NOT is_wrong AND pairs.predicted_id <> pairs.true_id
),
at_places AS (
    SELECT true_id, predicted_id, labelled_by, coalesce(sum(x) FILTER (person = labelled_by), 0)::BIGINT AS x,
        coalesce(sum(n) FILTER (person = labelled_by), 0)::BIGINT AS n, sum(x)::BIGINT AS x_all, sum(n)::BIGINT AS n_all
    FROM doubted JOIN of_pair USING (true_id, predicted_id) JOIN looked USING (place, has_reason, labelled_by)
    GROUP BY true_id, predicted_id, labelled_by, place, has_reason
)
SELECT true_id, predicted_id, labelled_by, sum(x)::BIGINT AS x, sum(n)::BIGINT AS n, sum(x_all - x)::BIGINT AS x_others,
    sum(n_all - n)::BIGINT AS n_others,
    list([x, n, x_all - x, n_all - n] ORDER BY x, n, x_all, n_all) FILTER (x_all > 0) AS strata
FROM at_places GROUP BY ALL

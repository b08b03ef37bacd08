-- weak_flanks: flanks of individuals that are misread while the other flank is not.
CREATE OR REPLACE TEMP TABLE weak_flanks AS
WITH with_flank AS (
    SELECT *, coalesce(event_id, target_id) AS event FROM scored
    WHERE right_id IS NOT NULL AND is_current AND flank IS NOT NULL
),
flanks AS (
    SELECT true_id, flank, count(DISTINCT event) AS n, sum(is_wrong::INT * event_weight) / sum(event_weight) AS rate
    FROM with_flank GROUP BY true_id, flank
),
both_flanks AS (
    SELECT weak.true_id, weak.flank, weak.n, weak.rate, strong.flank AS other, strong.n AS other_n,
        strong.rate AS other_rate
    FROM flanks weak JOIN flanks strong ON weak.true_id = strong.true_id AND weak.flank <> strong.flank
),
confusions AS (
    SELECT true_id, predicted_id, flank, count(DISTINCT event) AS n FROM with_flank WHERE is_wrong GROUP BY ALL
)
SELECT true_id, flank FROM both_flanks
WHERE n >= 3 AND other_n >= 3 AND rate >= 0.4 AND other_rate <= 0.4 * rate
UNION
SELECT both_flanks.true_id, both_flanks.flank FROM both_flanks
JOIN confusions one ON one.true_id = both_flanks.true_id AND one.flank = both_flanks.flank
LEFT JOIN confusions two
    ON two.true_id = one.true_id AND two.predicted_id = one.predicted_id AND two.flank = both_flanks.other
WHERE one.n >= 8 AND other_n >= 3 AND coalesce(two.n, 0) <= 0.1 * one.n

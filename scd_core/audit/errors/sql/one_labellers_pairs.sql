-- one_labellers_pairs: wrong names that one labeller's pictures of an individual are given, and those of the others are not.
CREATE OR REPLACE TEMP TABLE one_labellers_pairs AS
WITH pairs AS (
    SELECT true_id, labelled_by, predicted_id, is_wrong, count(DISTINCT coalesce(event_id, target_id)) AS n,
        sum(event_weight) AS weight
    FROM scored WHERE right_id IS NOT NULL AND is_current AND labelled_by IS NOT NULL GROUP BY ALL
),
labellers AS (
    SELECT true_id, labelled_by, sum(n) AS n, sum(weight) AS weight FROM pairs GROUP BY ALL
),
people AS (SELECT true_id, sum(n) AS n, sum(weight) AS weight FROM labellers GROUP BY ALL),
confusions AS (SELECT true_id, predicted_id, sum(weight) AS weight FROM pairs WHERE is_wrong GROUP BY ALL)
SELECT pairs.true_id, pairs.predicted_id, pairs.labelled_by FROM pairs
JOIN labellers USING (true_id, labelled_by) JOIN people USING (true_id) JOIN confusions USING (true_id, predicted_id)
WHERE is_wrong AND pairs.n >= 3 AND pairs.weight >= 0.2 * labellers.weight AND people.n - labellers.n >= 3
    AND pow(labellers.n / people.n, pairs.n) <= 0.01
    AND (confusions.weight - pairs.weight) / (people.weight - labellers.weight)
        <= 0.25 * pairs.weight / labellers.weight

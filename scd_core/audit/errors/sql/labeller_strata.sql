-- labeller_strata: where the model's name for an individual was contradicted, how often one labeller and the others did so.
-- Of every labeller who calls `true_id` what the model calls `predicted_id` in at least 3 visits; a stratum is a place and
-- whether visits are flagged. All places count at which the labeller labelled anything, also where the labeller never said so:
-- by the places where a labeller did, everybody would differ from the others.
-- n_like, n_like_others: visits on which such a label could fall, all that the labeller, or the others, labelled there.
WITH named AS (
    SELECT place, has_reason, labelled_by, true_id, predicted_id, is_wrong, visit FROM seen
    WHERE labelled_by IS NOT NULL AND place IS NOT NULL
),
likes AS (SELECT place, has_reason, labelled_by, count(DISTINCT visit) AS n_like FROM named GROUP BY ALL),
whole AS (SELECT place, has_reason, sum(n_like)::BIGINT AS n_like_all FROM likes GROUP BY ALL),
said AS (
    SELECT true_id, predicted_id, place, has_reason, labelled_by, count(DISTINCT visit) AS x
    FROM named WHERE is_wrong AND predicted_id IS NOT NULL GROUP BY ALL
),
doubted AS (SELECT true_id, predicted_id, labelled_by FROM said GROUP BY ALL HAVING sum(x) >= 3),
of_place AS (SELECT true_id, predicted_id, place, has_reason, sum(x)::BIGINT AS x_all FROM said GROUP BY ALL)
SELECT true_id, predicted_id, labelled_by, place, coalesce(x, 0) AS x, x_all - coalesce(x, 0) AS x_others,
    n_like, n_like_all - n_like AS n_like_others
FROM doubted JOIN of_place USING (true_id, predicted_id) JOIN likes USING (place, has_reason, labelled_by)
JOIN whole USING (place, has_reason) LEFT JOIN said USING (true_id, predicted_id, labelled_by, place, has_reason)

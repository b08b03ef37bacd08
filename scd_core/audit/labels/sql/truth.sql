-- truth: the newest label of each target; true_id is null where labels of one moment differ, `blank` where there is no animal.
-- known_at: when a label with this name was first imported for it. is_by_lot: somebody labelled it that was not led to it by a
-- queue of the review for a slice, a candidate or a doubt.
CREATE OR REPLACE TEMP TABLE truth AS
WITH said AS (
    SELECT *, coalesce(individual_id, state) AS name, status IN ('newest', 'conflicting') AND state <> 'unclear' AS counts
    FROM label_matches WHERE status IN ('newest', 'superseded', 'conflicting')
),
targets AS (
    SELECT media_id, detection_id, any_value(flank) FILTER (counts) AS flank, any_value(labelled_by) FILTER (counts) AS labelled_by,
        CASE WHEN bool_or(status = 'conflicting') FILTER (counts) THEN NULL ELSE any_value(name) FILTER (counts) END AS true_id,
        bool_or(coalesce(review_queue, 'next') IN ('next', 'pairs')) AS is_by_lot,
        min(imported_at) FILTER (status <> 'conflicting') AS first_at, min(name) = max(name) AS is_one_name
    FROM said GROUP BY media_id, detection_id HAVING bool_or(counts)
),
-- Few targets were ever given two names.
imports AS (
    SELECT media_id, detection_id, name AS true_id, min(imported_at) AS known_at
    FROM said SEMI JOIN (FROM targets WHERE NOT is_one_name) renamed USING (media_id)
    WHERE status <> 'conflicting' GROUP BY ALL
)
SELECT targets.media_id, targets.detection_id, flank, labelled_by, targets.true_id,
    CASE WHEN targets.true_id IS NULL THEN NULL WHEN is_one_name THEN first_at ELSE known_at END AS known_at,
    coalesce(is_by_lot, true) AS is_by_lot
FROM targets LEFT JOIN imports
    ON targets.media_id = imports.media_id AND targets.detection_id IS NOT DISTINCT FROM imports.detection_id
    AND targets.true_id = imports.true_id AND NOT is_one_name

-- truth: the newest label of each target; true_id is null where labels of one moment differ, `blank` where there is no animal.
-- known_at: when a label with this name was first imported for it. is_by_lot: somebody labelled it that was not led to it by a
-- queue of the review for a slice, a candidate or a doubt.
CREATE OR REPLACE TEMP TABLE truth AS
WITH newest AS (
    SELECT media_id, detection_id, any_value(flank) AS flank, any_value(labelled_by) AS labelled_by,
        CASE WHEN bool_or(status = 'conflicting') THEN NULL ELSE any_value(coalesce(individual_id, state)) END AS true_id
    FROM label_matches WHERE status IN ('newest', 'conflicting') AND state <> 'unclear' GROUP BY media_id, detection_id
),
lots AS (
    SELECT media_id, detection_id, bool_or(coalesce(review_queue, 'next') IN ('next', 'pairs')) AS is_by_lot
    FROM label_matches WHERE status IN ('newest', 'superseded', 'conflicting') GROUP BY ALL
),
imports AS (
    SELECT media_id, detection_id, coalesce(individual_id, state) AS true_id, min(imported_at) AS known_at
    FROM label_matches WHERE status IN ('newest', 'superseded') GROUP BY ALL
)
SELECT newest.*, known_at, coalesce(is_by_lot, true) AS is_by_lot
FROM newest LEFT JOIN lots
    ON newest.media_id = lots.media_id AND newest.detection_id IS NOT DISTINCT FROM lots.detection_id
LEFT JOIN imports
    ON newest.media_id = imports.media_id AND newest.detection_id IS NOT DISTINCT FROM imports.detection_id
    AND newest.true_id = imports.true_id

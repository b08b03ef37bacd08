-- labelled: the targets that a label belongs to, with the truth; null where the newest labels differ.
-- A label of the whole frame belongs to the frame's one target; labels of boxes belong to a whole-frame prediction where
-- they all name one individual. A label `blank` belongs to every target of its frame. A frame of several boxes with one label for all of them is no truth for any of them.
CREATE OR REPLACE TEMP TABLE labelled AS
WITH candidates AS (FROM label_targets SEMI JOIN truth USING (media_id)),
-- Most frames have one target, and most labels are of whole frames.
several AS (SELECT batch_key, media_id FROM candidates GROUP BY ALL HAVING count(*) > 1),
whole AS (
    SELECT media_id, any_value(flank) AS flank, any_value(labelled_by) AS labelled_by,
        min(known_at) AS known_at, bool_or(is_by_lot) AS is_by_lot,
        CASE WHEN min(true_id) = max(true_id) AND count(true_id) = count(*) THEN any_value(true_id) END AS true_id
    FROM truth SEMI JOIN (FROM truth WHERE detection_id IS NOT NULL) boxes USING (media_id)
    GROUP BY media_id HAVING NOT bool_or(detection_id IS NULL)
)
SELECT candidates.batch_key, target_id, media_id, truth.true_id, truth.flank, truth.labelled_by, truth.known_at, is_by_lot
FROM candidates JOIN truth USING (media_id)
LEFT JOIN several ON candidates.batch_key = several.batch_key AND candidates.media_id = several.media_id
WHERE candidates.detection_id IS NOT DISTINCT FROM truth.detection_id
    OR (truth.detection_id IS NULL AND (several.media_id IS NULL OR truth.true_id = 'blank'))
UNION ALL
SELECT batch_key, target_id, media_id, whole.true_id, whole.flank, whole.labelled_by, whole.known_at, is_by_lot
FROM candidates JOIN whole USING (media_id)
WHERE candidates.detection_id IS NULL

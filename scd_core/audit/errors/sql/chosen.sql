-- chosen: the targets of the report: labelled or suspected ones, and whether the newest run over their medium is theirs.
-- Pictures without an entry in the detections or predictions that were given are left out: nobody tried to name these.
CREATE OR REPLACE TEMP TABLE chosen AS
WITH both_kinds AS (
    SELECT batch_key, target_id, media_id, true_id, flank, labelled_by, known_at, is_by_lot,
        CASE WHEN true_id IS NULL THEN ['label_conflict'] ELSE [] END AS reasons
    FROM labelled ANTI JOIN (
        FROM predictions WHERE prediction_status IN ('no_detections', 'not_named')
    ) without_entry USING (batch_key, target_id)
    UNION ALL
    SELECT batch_key, target_id, media_id, NULL, NULL, NULL, NULL, NULL, reasons FROM suspected
),
targets AS (
    SELECT batch_key, target_id, any_value(media_id) AS media_id, any_value(true_id) AS true_id,
        any_value(flank) AS flank, any_value(labelled_by) AS labelled_by, min(known_at) AS known_at, bool_or(is_by_lot) AS is_by_lot,
        list_sort(list_distinct(flatten(list(reasons)))) AS suspicion_reasons
    FROM both_kinds GROUP BY batch_key, target_id
)
SELECT targets.*, superseded.media_id IS NULL AS is_current
FROM targets LEFT JOIN superseded ON superseded.batch_key = targets.batch_key AND superseded.media_id = targets.media_id

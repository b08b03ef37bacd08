-- chosen: the targets of the report: labelled or suspected ones, and whether the newest run over their medium is theirs.
-- Pictures that detections were given for and that have no entry in them are left out: nobody tried to name these.
CREATE OR REPLACE TEMP TABLE chosen AS
WITH both_kinds AS (
    SELECT batch_key, target_id, media_id, true_id, flank, labelled_by,
        CASE WHEN true_id IS NULL THEN ['label_conflict'] ELSE [] END AS reasons
    FROM labelled ANTI JOIN (
        FROM predictions WHERE prediction_status = 'no_detections'
    ) without_entry USING (batch_key, target_id)
    UNION ALL
    SELECT batch_key, target_id, media_id, NULL, NULL, NULL, reasons FROM suspected
),
targets AS (
    SELECT batch_key, target_id, any_value(media_id) AS media_id, any_value(true_id) AS true_id,
        any_value(flank) AS flank, any_value(labelled_by) AS labelled_by,
        list_sort(list_distinct(flatten(list(reasons)))) AS suspicion_reasons
    FROM both_kinds GROUP BY batch_key, target_id
),
newest AS (
    SELECT media_id, arg_max(batch_key, (finished_at, batch_key)) AS batch_key
    FROM (SELECT DISTINCT batch_key, media_id FROM predictions WHERE media_id IN (SELECT media_id FROM targets))
    JOIN (SELECT batch_key, max(finished_at) AS finished_at FROM runs GROUP BY batch_key) USING (batch_key)
    GROUP BY media_id
)
SELECT targets.*, newest.batch_key IS NOT DISTINCT FROM targets.batch_key AS is_current
FROM targets LEFT JOIN newest USING (media_id)

-- second: targets that one person alone has named, by lot: for a second reader, who does not see the name.
WITH counting AS (
    SELECT media_id, detection_id, labelled_by, coalesce(individual_id, state) AS name, labelled_at, imported_at FROM labels
    WHERE media_id IS NOT NULL AND undoes_import_id IS NULL
        AND import_id NOT IN (SELECT undoes_import_id FROM labels WHERE undoes_import_id IS NOT NULL)
        AND media_id IN (SELECT media_id FROM label_targets WHERE lot_of(content_number, target_id) < $share)
),
spoken AS (
    SELECT media_id, detection_id, any_value(labelled_by) AS labelled_by, arg_max(name, (labelled_at, imported_at)) AS name
    FROM counting GROUP BY media_id, detection_id
    HAVING count(DISTINCT labelled_by) = 1 AND count(labelled_by) = count(*)
),
finished AS (SELECT batch_key, max(finished_at) AS finished_at FROM runs GROUP BY batch_key),
targets AS (
    SELECT spoken.*, target_id, batch_key, content_number, lot_of(content_number, target_id) AS lot,
        row_number() OVER (PARTITION BY target_id ORDER BY finished_at DESC, batch_key DESC) AS age
    FROM label_targets
    JOIN spoken ON spoken.media_id = label_targets.media_id
        AND spoken.detection_id IS NOT DISTINCT FROM label_targets.detection_id
    JOIN finished USING (batch_key) WHERE prediction_status = 'ok'
)
SELECT 'second' AS queue, row_number() OVER (ORDER BY lot, target_id) AS place, batch_key, target_id, media_id, detection_id,
    content_number, name AS group_id, 'a second reading' AS reason, NULL::DOUBLE AS queue_probability, []::VARCHAR[] AS said, labelled_by
FROM targets WHERE age = 1 AND lot < $share ORDER BY place LIMIT $limit

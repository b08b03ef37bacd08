-- disagreements: targets that two people name differently, the newest label of each person counting, until somebody decides.
WITH counting AS (
    SELECT media_id, detection_id, labelled_by, coalesce(individual_id, state) AS name, labelled_at, imported_at,
        review_queue
    FROM labels
    WHERE media_id IS NOT NULL AND undoes_import_id IS NULL AND labelled_by IS NOT NULL
        AND import_id NOT IN (SELECT undoes_import_id FROM labels WHERE undoes_import_id IS NOT NULL)
),
-- Few pictures have labels of several people.
several AS (SELECT media_id FROM counting GROUP BY media_id HAVING min(labelled_by) < max(labelled_by)),
spoken AS (
    SELECT media_id, detection_id, labelled_by, arg_max(name, (labelled_at, imported_at)) AS name,
        max((labelled_at, imported_at)) AS spoken_at,
        max((labelled_at, imported_at)) FILTER (review_queue = 'disagreements') AS decided_at
    FROM counting SEMI JOIN several USING (media_id) GROUP BY media_id, detection_id, labelled_by
),
open_ones AS (
    SELECT media_id, detection_id, list_sort(list(labelled_by || ': ' || name)) AS said
    FROM spoken GROUP BY media_id, detection_id 
    HAVING count(DISTINCT name) > 1 AND coalesce(max(decided_at) < max(spoken_at), true)
),
finished AS (SELECT batch_key, max(finished_at) AS finished_at FROM runs GROUP BY batch_key),
targets AS (
    SELECT media_id, target_id, label_targets.detection_id, content_number, batch_key, said,
        row_number() OVER (PARTITION BY target_id ORDER BY finished_at DESC, batch_key DESC) AS age
    FROM label_targets JOIN open_ones USING (media_id) JOIN finished USING (batch_key)
    WHERE open_ones.detection_id IS NULL OR label_targets.detection_id IS NOT DISTINCT FROM open_ones.detection_id
)
SELECT 'disagreements' AS queue, row_number() OVER (ORDER BY target_id) AS place, batch_key, target_id, media_id,
    detection_id, content_number, NULL::VARCHAR AS group_id, 'two people name it differently' AS reason, NULL::DOUBLE AS queue_probability, said,
    NULL::VARCHAR AS labelled_by
FROM targets WHERE age = 1 ORDER BY place LIMIT $limit

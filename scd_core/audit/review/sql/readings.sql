-- readings: targets that a second person has named without seeing the first one's name, with both names.
WITH counting AS (
    SELECT media_id, detection_id, labelled_by, coalesce(individual_id, state) AS name, labelled_at, imported_at, review_queue
    FROM labels
    WHERE media_id IS NOT NULL AND undoes_import_id IS NULL AND labelled_by IS NOT NULL
        AND import_id NOT IN (SELECT undoes_import_id FROM labels WHERE undoes_import_id IS NOT NULL)
),
seconds AS (
    SELECT media_id, detection_id, labelled_by AS second, arg_max(name, (labelled_at, imported_at)) AS second_name,
        min((labelled_at, imported_at)) AS second_at
    FROM counting WHERE review_queue = 'second' GROUP BY media_id, detection_id, labelled_by
)
SELECT seconds.media_id, seconds.detection_id, second, second_name, arg_max(labelled_by, (labelled_at, imported_at)) AS first,
    arg_max(name, (labelled_at, imported_at)) AS first_name
FROM seconds JOIN counting ON seconds.media_id = counting.media_id
    -- A blank is of the whole picture, whichever of its boxes the answer was given for.
    AND (seconds.detection_id IS NOT DISTINCT FROM counting.detection_id OR 'blank' IN (second_name, name))
    AND counting.labelled_by <> second AND (labelled_at, imported_at) < second_at
GROUP BY ALL ORDER BY ALL

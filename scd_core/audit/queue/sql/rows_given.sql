-- rows_given: labels of pictures that the newest report has no truth of. One without a detection counts for the whole picture.
SELECT media_id, detection_id, coalesce(individual_id, state) AS individual
FROM labels ANTI JOIN (FROM errors WHERE is_labelled) known USING (media_id)
WHERE media_id IS NOT NULL AND undoes_import_id IS NULL
    AND import_id NOT IN (SELECT undoes_import_id FROM labels WHERE undoes_import_id IS NOT NULL)

-- undone_by: imports that the rows with an id, or its beginning, undo.
SELECT undoes_import_id FROM labels WHERE undoes_import_id IS NOT NULL AND starts_with(import_id, $import_id)

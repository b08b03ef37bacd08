-- imports: each import of labels: when, its file, who labelled, how many labels count, what was left out, when it was undone.
WITH undone AS (SELECT undoes_import_id AS import_id, min(imported_at) AS undone_at FROM labels
    WHERE undoes_import_id IS NOT NULL GROUP BY 1)
SELECT import_id, min(imported_at) AS imported_at, any_value(import_file) AS file, any_value(label_source) AS format,
    array_to_string(list_sort(list(DISTINCT labelled_by)), ', ') AS labelled_by, count(*) AS n_labels,
    count(*) FILTER (status IN ('newest', 'several')) AS n_count,
    count(*) FILTER (status IN ('waiting', 'ambiguous')) AS n_waiting,
    any_value(import_counts) AS counts, any_value(undone_at) AS undone_at
FROM label_matches LEFT JOIN undone USING (import_id) GROUP BY import_id ORDER BY imported_at, import_id

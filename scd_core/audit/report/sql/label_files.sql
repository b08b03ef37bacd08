-- label_files: what became of the labels of each file, over all its imports; undone ones do not count. `counts` is of the newest.
CREATE OR REPLACE TEMP TABLE label_files AS
SELECT import_file AS file, max(imported_at) AS last_at, count(DISTINCT label_id) FILTER (status <> 'undone') AS n_labels,
    count(DISTINCT label_id) FILTER (status IN ('waiting', 'ambiguous')) AS n_waiting,
    arg_max(import_counts, imported_at) FILTER (status <> 'undone') AS counts,
    coalesce(list_sort(list(DISTINCT file) FILTER (status = 'ambiguous')), []) AS ambiguous,
    coalesce(list_sort(list(DISTINCT file) FILTER (status = 'waiting')), []) AS waiting,
    coalesce(list_sort(list(file) FILTER (names_no_box AND status <> 'undone')), []) AS boxless
FROM label_matches WHERE import_file IS NOT NULL GROUP BY import_file ORDER BY last_at DESC, import_file LIMIT $limit

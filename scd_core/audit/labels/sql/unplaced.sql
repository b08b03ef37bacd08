-- unplaced: files of an import's labels that are in doubt: that fit several objects, that fit none, and that name no box.
SELECT coalesce(list_sort(list(file) FILTER (status = 'ambiguous')), []),
    coalesce(list_sort(list(file) FILTER (status = 'waiting')), []), coalesce(list_sort(list(file) FILTER (names_no_box)), [])
FROM label_matches WHERE import_id = $import_id

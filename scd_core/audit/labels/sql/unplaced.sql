-- unplaced: labels of an import that are in doubt: files that fit several objects, that fit none, and that name no box.
SELECT coalesce(list_sort(list(DISTINCT file) FILTER (status = 'ambiguous')), []),
    coalesce(list_sort(list(DISTINCT file) FILTER (status = 'waiting')), []),
    coalesce(list_sort(list(DISTINCT file) FILTER (names_no_box)), []),
    count(*) FILTER (status = 'ambiguous'), count(*) FILTER (status = 'waiting'), count(*) FILTER (names_no_box)
FROM label_matches WHERE import_id = $import_id

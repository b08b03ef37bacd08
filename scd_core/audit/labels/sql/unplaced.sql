-- unplaced: files of labels that fit several objects, files that fit none, and files of the labels of one import that name no box.
SELECT coalesce(list(DISTINCT file) FILTER (status = 'ambiguous'), []), coalesce(list(DISTINCT file) FILTER (status = 'waiting'), []),
    coalesce(list_sort(list(file) FILTER (names_no_box AND import_id = $import_id)), [])
FROM label_matches

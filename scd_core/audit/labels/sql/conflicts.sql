-- conflicts: targets of an import's labels that labels of one moment name differently, with these names and who gave them.
SELECT any_value(file), detection_id, labelled_at,
    array_to_string(list_sort(list(DISTINCT coalesce(individual_id, state) || coalesce(' (' || labelled_by || ')', ''))), ', ')
FROM label_matches
WHERE status NOT IN ('several', 'undone') AND coalesce(media_id, file) IN (
    SELECT coalesce(media_id, file) FROM label_matches WHERE import_id = $import_id
)
GROUP BY coalesce(media_id, file), detection_id, labelled_at
HAVING count(DISTINCT coalesce(individual_id, state)) > 1 ORDER BY ALL

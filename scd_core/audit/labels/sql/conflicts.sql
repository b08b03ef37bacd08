-- conflicts: targets of incoming labels that labels of one moment name differently, with these names and who gave them.
WITH every AS (SELECT * FROM labels UNION ALL BY NAME SELECT * FROM incoming)
SELECT any_value(file), detection_id, labelled_at,
    array_to_string(list_sort(list(DISTINCT individual_id || coalesce(' (' || labelled_by || ')', ''))), ', ')
FROM every
WHERE coalesce(media_id, file) IN (SELECT coalesce(media_id, file) FROM incoming)
GROUP BY coalesce(media_id, file), detection_id, labelled_at
HAVING count(DISTINCT individual_id) > 1 ORDER BY ALL

-- pool: pictures that are drawn from to count individuals, with the name or candidate that each has without what people said.
-- So a label does not change the draw.
SELECT target_id, coalesce(own_group, target_id) AS own_group, coalesce(content_number::VARCHAR, target_id) AS content,
    label_id, coalesce(file, target_id) AS file
FROM whose LEFT JOIN newest_media USING (media_id)

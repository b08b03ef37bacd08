-- label_media: files of labels that are, as they are written, the path or the address of media; how many media, and the one.
-- Most files are, and those need not be compared with the names of all media.
CREATE OR REPLACE TEMP TABLE label_media AS
WITH written AS (
    SELECT wanted AS file, uri, duplicate_of, media_id, last_modified_at FROM label_names
    UNION ALL
    SELECT addresses.file, uri, duplicate_of, media_id, last_modified_at
    FROM media JOIN (FROM labels_open WHERE contains(file, '://')) addresses ON uri = addresses.file
),
-- A duplicate's label belongs to the first object with the same content.
newest AS (
    SELECT file, uri, arg_max(coalesce(duplicate_of, media_id), (last_modified_at, coalesce(duplicate_of, media_id))) AS media_id
    FROM written GROUP BY file, uri
)
SELECT file, arg_min(media_id, uri) AS media_id, count(*) AS n_objects FROM newest GROUP BY file

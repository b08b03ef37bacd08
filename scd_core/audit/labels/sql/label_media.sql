-- label_media: files of the table labels_open -> media_id of the newest version, and the number of objects that the name fits.
CREATE OR REPLACE TEMP TABLE label_media AS
-- A duplicate's label belongs to the first object with the same content.
WITH wanted AS (SELECT DISTINCT file FROM labels_open),
objects AS (
    SELECT media_id, uri, file, last_modified_at, coalesce(duplicate_of, media_id) AS original FROM media
),
exact AS (
    SELECT wanted.file, uri, original, last_modified_at FROM objects JOIN wanted ON objects.uri = wanted.file
    UNION SELECT wanted.file, uri, original, last_modified_at FROM objects JOIN wanted ON objects.file = wanted.file
),
-- A bare name, or the end of a path, counts where it fits one object only.
ending AS (
    SELECT wanted.file, uri, original, last_modified_at
    FROM objects
    JOIN (SELECT file FROM wanted ANTI JOIN exact USING (file)) wanted
        ON parse_filename(objects.uri) = parse_filename(wanted.file)
    WHERE ends_with(uri, '/' || ltrim(regexp_replace(wanted.file, '^[a-z0-9]+://', ''), '/'))
)
SELECT file, arg_max(original, (last_modified_at, original)) AS media_id, count(DISTINCT uri) AS n_objects
FROM (SELECT * FROM exact UNION ALL SELECT * FROM ending) GROUP BY file

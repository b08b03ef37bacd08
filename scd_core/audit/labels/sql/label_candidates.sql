-- label_candidates: media whose file has the name of a label's file, in any case and Unicode form; a label may mean them.
-- Of the files that are no path or address of a medium as they are written.
WITH named AS (SELECT DISTINCT lower(nfc_normalize(parse_filename(file))) AS name FROM labels_open ANTI JOIN label_media USING (file))
-- A duplicate's label belongs to the first object with the same content.
SELECT uri, file, arg_max(coalesce(duplicate_of, media_id), (last_modified_at, coalesce(duplicate_of, media_id))) AS media_id
FROM media WHERE lower(nfc_normalize(parse_filename(uri))) IN (SELECT name FROM named)
GROUP BY uri, file ORDER BY uri

-- camtrap_media: rows of media.csv.
CREATE OR REPLACE TEMP VIEW camtrap_media AS
SELECT media_id AS "mediaID", place AS "deploymentID", NULL AS "captureMethod",
    iso_time(captured_at, utc_offset_minutes) AS "timestamp",
    -- Two dots in a row are not allowed in a path; in an address they may be spelt out.
    replace(uri, '..', '%2E%2E') AS "filePath", starts_with(uri, 'http') AS "filePublic",
    parse_filename(file) AS "fileName", CASE
        WHEN "format" IN ('JPEG', 'MPO') THEN 'image/jpeg'
        WHEN "format" IN ('PNG', 'TIFF', 'WEBP', 'BMP', 'GIF') THEN 'image/' || lower("format")
        WHEN regexp_matches(file, '\.jpe?g$', 'i') THEN 'image/jpeg'
        WHEN regexp_matches(file, '\.(png|tiff?|webp|bmp|gif|heic|dng)$', 'i')
            THEN 'image/' || lower(regexp_extract(file, '[^.]+$'))
        WHEN regexp_matches(file, '\.(mp4|mov|avi|mkv|mpe?g|3gp)$', 'i')
            THEN 'video/' || lower(regexp_extract(file, '[^.]+$'))
        ELSE 'image/x-unknown' END AS "fileMediatype",
    NULL AS "exifData", NULL AS favorite,
    CASE WHEN status <> 'ok' THEN status || coalesce(': ' || failure_reason, '') END AS "mediaComments"
FROM placed WHERE captured_at IS NOT NULL ORDER BY place, captured_at, file, media_id

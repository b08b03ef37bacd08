-- near_files: up to three files whose last part is nearly that of a path.
SELECT DISTINCT file, jaro_winkler_similarity(lower(parse_filename(file)), lower(parse_filename($path)))
    + jaro_winkler_similarity(lower(file), lower($path)) AS likeness
FROM every_media
WHERE jaro_winkler_similarity(lower(parse_filename(file)), lower(parse_filename($path))) > 0.85
ORDER BY likeness DESC, file LIMIT 3

-- paths_of_labelled: a picture that incoming labels are of, and the paths and addresses of it and of its copies.
SELECT coalesce(duplicate_of, media_id) AS media_id, list(DISTINCT file) || list(DISTINCT uri) AS paths
FROM media WHERE coalesce(duplicate_of, media_id) IN (SELECT media_id FROM incoming) GROUP BY 1

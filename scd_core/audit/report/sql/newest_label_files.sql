-- newest_label_files: what became of the labels of each file, newest first.
FROM label_files ORDER BY last_at DESC, file LIMIT $limit

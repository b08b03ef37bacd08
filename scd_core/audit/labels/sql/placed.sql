-- placed: the media that a label was given to.
SELECT media_id AS wanted FROM labels WHERE media_id IS NOT NULL
UNION SELECT media_id FROM label_media WHERE n_objects = 1 AND media_id IS NOT NULL

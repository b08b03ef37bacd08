-- label_names: the media that are wanted by their path.
CREATE OR REPLACE TEMP TABLE label_names AS
SELECT batch_key, file AS wanted, uri, duplicate_of, media_id, last_modified_at FROM media WHERE file IN (SELECT wanted FROM wanted)

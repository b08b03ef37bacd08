-- media_files: the file and the address of some media.
SELECT batch_key, media_id, file, uri FROM media WHERE media_id IN (SELECT unnest($media::VARCHAR[]))

-- newest_media: each medium once, as the newest run saw it.
CREATE OR REPLACE TEMP TABLE newest_media AS
SELECT media.* FROM media SEMI JOIN newest_batches USING (batch_key, media_id)

-- names: of each batch, hashes of 32 bits of its media and of their paths: in which batches a medium may be, without a look at them.
CREATE OR REPLACE TEMP TABLE names AS
SELECT batch_key, list((hash(media_id) >> 32)::UINTEGER) AS media, list((hash(file) >> 32)::UINTEGER) AS files
FROM media GROUP BY batch_key

-- digests_alone: each batch with a hash over the names of its files, which never change.
CREATE OR REPLACE TEMP TABLE digests AS
SELECT batch_key, md5($version || string_agg(file, '|' ORDER BY file)) AS digest FROM batch_files GROUP BY batch_key

-- digests_small: each small file of a table, by its key, with a hash over its name, which never changes.
CREATE OR REPLACE TEMP TABLE digests AS
SELECT batch_key, md5(concat_ws('|', $version, file)) AS digest FROM small_files WHERE name = $name

-- digests_judged: each batch with a hash over its files, labels, replaced pictures, travellers and limits of quality.
CREATE OR REPLACE TEMP TABLE digests AS
WITH facts AS (
    SELECT batch_key, 1 AS kind, sum(hash(labelled)) AS total FROM labelled GROUP BY batch_key
    UNION ALL SELECT batch_key, 2, sum(hash(superseded)) FROM superseded GROUP BY batch_key
    UNION ALL SELECT batch_key, 3, sum(hash(quality_limits)) FROM quality_limits GROUP BY batch_key
    UNION ALL SELECT batch_key, 4, sum(hash(travellers))
        FROM stays JOIN travellers USING (model_digest, predicted_id, event) GROUP BY batch_key
),
together AS (
    SELECT batch_key, string_agg(kind || ':' || total, '|' ORDER BY kind) AS facts FROM facts GROUP BY batch_key
),
files AS (SELECT batch_key, string_agg(file, '|' ORDER BY file) AS files FROM batch_files GROUP BY batch_key)
SELECT batch_key, md5(concat_ws('|', $version, files, facts)) AS digest FROM files LEFT JOIN together USING (batch_key)

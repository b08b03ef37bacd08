-- newest_batches: the newest run over each medium, and when it finished.
CREATE OR REPLACE TEMP TABLE newest_batches AS
WITH finished AS (SELECT batch_key, max(finished_at) AS finished_at FROM runs GROUP BY batch_key)
SELECT media_id, arg_max(batch_key, (finished_at, batch_key)) AS batch_key, max(finished_at) AS finished_at
FROM (SELECT DISTINCT batch_key, media_id FROM media) JOIN finished USING (batch_key) GROUP BY media_id

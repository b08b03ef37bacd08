-- rows_current: the pictures of rows_lots, and whether each is of the newest run that named it.
WITH looked_at AS MATERIALIZED (FROM rows_lots(given_seed, given_most)),
finished AS (SELECT batch_key, max(finished_at) AS finished_at FROM runs GROUP BY batch_key),
newest AS (
    SELECT media_id, arg_max(batch_key, (finished_at, batch_key)) AS newest_key
    FROM predictions SEMI JOIN looked_at USING (media_id) JOIN finished USING (batch_key) GROUP BY media_id
)
SELECT looked_at.*, batch_key = newest_key AS is_current FROM looked_at JOIN newest USING (media_id)

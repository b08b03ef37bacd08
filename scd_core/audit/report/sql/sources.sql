-- sources: the SOURCE of each batch.
SELECT batch_key, any_value(source) AS source FROM runs GROUP BY batch_key

-- sources: SOURCE of each batch.
SELECT batch_key, any_value(source) AS source FROM runs WHERE source IS NOT NULL GROUP BY batch_key ORDER BY batch_key

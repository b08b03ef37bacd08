-- batch_sizes: the batches with the number of their pictures, in the order of the keys.
SELECT batch_key, coalesce(max(n_media), 10000) AS n_pictures
FROM (SELECT DISTINCT batch_key FROM batch_files) found LEFT JOIN runs USING (batch_key) GROUP BY batch_key ORDER BY batch_key

-- candidate_batches: the batches whose pictures were put to candidates, and whether all batches may have some.
-- A version without the table `candidates` noted them in `predictions` alone, and a picture that another run counts for may be anywhere.
SELECT coalesce(list(DISTINCT batch_key), []) AS batches,
    coalesce(bool_or(batch_key IN (SELECT batch_key FROM superseded)), false)
        OR (SELECT coalesce(bool_or(fill), true) FROM batch_files) AS is_all
FROM candidates

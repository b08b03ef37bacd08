-- rate_size: how many named pictures the batches with labels hold.
SELECT count(*) AS n FROM predictions WHERE prediction_status = 'ok'
    AND batch_key IN (SELECT batch_key FROM errors WHERE is_labelled AND is_current)

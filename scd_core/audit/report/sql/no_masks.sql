-- no_masks: one row, the most frequent reason why a mask of the newest model is not available.
SELECT mode(failure_reason ORDER BY failure_reason) AS reason FROM masks
WHERE mask_status = 'not_available' AND model_digest = (SELECT arg_max(model_digest, finished_at) FROM runs)

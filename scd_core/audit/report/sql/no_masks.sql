-- no_masks: one row, the most frequent reason why a mask of a model is not available.
SELECT mode(failure_reason ORDER BY failure_reason) AS reason FROM masks
WHERE mask_status = 'not_available' AND model_digest = $model

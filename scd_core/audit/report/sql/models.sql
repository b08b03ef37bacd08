-- models: the models whose predictions the audit holds, newest first, with what each did.
SELECT model_digest, count(*) AS n_batches, sum(n_media) AS n_media, sum(n_predictions) AS n_predictions,
    sum(n_masks) AS n_masks, sum(n_flips) AS n_flips, min(started_at) AS first_at, max(finished_at) AS last_at,
    list_sort(list_distinct(list(source))) AS sources
FROM runs GROUP BY model_digest ORDER BY last_at DESC LIMIT 20

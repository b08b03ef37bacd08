-- models: the models whose predictions the audit holds, newest first, with what each did.
SELECT model_digest, arg_max(model_name, finished_at) AS model_name, count(*) AS n_batches, sum(n_media) AS n_media, sum(n_predictions) AS n_predictions,
    sum(n_masks) AS n_masks, sum(n_flips) AS n_flips, coalesce(sum(n_not_available), 0) AS n_not_available,
    coalesce(sum(n_not_available), 0) > 0 AND sum(n_masks) = 0 AS is_without_network, min(started_at) AS first_at, max(finished_at) AS last_at,
    list_sort(list_distinct(list(source))) AS sources
FROM runs GROUP BY model_digest ORDER BY last_at DESC LIMIT 20

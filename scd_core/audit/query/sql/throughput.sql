-- throughput: How fast was each stage of each batch, or all of it where its stages were not timed?
WITH stages AS (
    SELECT batch_date, batch_key, device, n_media, n_ok, n_predictions, n_masks,
        unnest(coalesce(map_entries(seconds), [{'key': 'all', 'value': epoch(finished_at - started_at)}])) AS one
    FROM runs
)
SELECT batch_date, batch_key, device, one.key AS stage,
    CASE WHEN one.key IN ('ingest', 'all') THEN n_media WHEN one.key = 'classify' THEN n_ok
        WHEN one.key = 'triage' THEN n_predictions ELSE n_masks END AS pictures,
    round(one.value, 1) AS seconds,
    round(pictures / nullif(one.value, 0), 2) AS pictures_per_second,
    round(one.value / nullif(sum(one.value) OVER (PARTITION BY batch_key), 0), 3) AS share_of_time
FROM stages ORDER BY batch_date DESC, batch_key, share_of_time DESC

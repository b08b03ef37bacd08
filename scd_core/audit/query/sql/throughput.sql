-- throughput: How fast was each stage of each batch, when did it begin, and what did its tasks wait for?
WITH stages AS (
    SELECT runs.*,
        unnest(coalesce(map_entries(seconds), [{'key': 'all', 'value': epoch(finished_at - started_at)}])) AS one
    FROM runs
)
SELECT batch_date, batch_key, device, one.key AS stage,
    CASE WHEN one.key IN ('ingest', 'all') THEN n_media WHEN one.key = 'classify' THEN n_ok
        WHEN one.key = 'triage' THEN n_predictions ELSE n_masks END AS pictures,
    round(one.value, 1) AS seconds,
    round(pictures / nullif(one.value, 0), 2) AS pictures_per_second,
    round(one.value / nullif(sum(one.value) OVER (PARTITION BY batch_key), 0), 3) AS share_of_time,
    started_at + to_microseconds(CAST(1e6 * stages.seconds[one.key || ':begin'] AS BIGINT)) AS begun_at,
    round(stages.seconds[one.key || ':storage'] / nullif(stages.seconds[one.key || ':task'], 0), 3) AS waits_for_storage,
    round(stages.seconds[one.key || ':model'] / nullif(stages.seconds[one.key || ':task'], 0), 3) AS with_model,
    round(stages.seconds[one.key || ':slot'] / nullif(stages.seconds[one.key || ':task'], 0), 3) AS waits_for_gpu
FROM stages WHERE NOT contains(one.key, ':') ORDER BY batch_date DESC, batch_key, share_of_time DESC

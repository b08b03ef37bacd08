-- newest_seed: the seed of the draw of what to label next, as the newest run has it.
SELECT coalesce(try_cast(arg_max(config, finished_at) ->> '$.triage.seed' AS BIGINT), 0) AS seed FROM runs

-- sources: how many SOURCEs the runs had; a run that does not name its own may have had another one.
SELECT count(DISTINCT source) + count(DISTINCT batch_key) FILTER (source IS NULL) AS n_sources FROM runs

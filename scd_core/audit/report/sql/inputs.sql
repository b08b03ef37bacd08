-- inputs: what became of the files that runs were handed, as JSON, newest first.
SELECT source, inputs, max(finished_at) AS last_at FROM runs WHERE inputs IS NOT NULL
GROUP BY source, inputs ORDER BY last_at DESC, source, inputs LIMIT $limit

-- quarantine: What could not be used, and why?
SELECT status, failure_stage, failure_reason, count(DISTINCT media_id) AS n_media, min(file) AS example
FROM media WHERE status NOT IN ('ok', 'duplicate') GROUP BY ALL ORDER BY n_media DESC, status

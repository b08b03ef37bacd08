-- quarantine_kinds: why files could not be used, with their counts.
SELECT status, failure_stage, count(DISTINCT media_id) AS n FROM media
WHERE status NOT IN ('ok', 'duplicate') GROUP BY ALL ORDER BY n DESC, status

-- quarantined: files that could not be used, with the reason.
SELECT media_id, any_value(file) AS file, any_value(status) AS status, any_value(failure_stage) AS failure_stage,
    any_value(failure_reason) AS failure_reason, any_value(size_bytes) AS size_bytes
FROM media WHERE status NOT IN ('ok', 'duplicate') GROUP BY media_id ORDER BY status, file LIMIT $limit

-- find: the newest run over a target that no queue holds: its batch and its medium.
SELECT batch_key, target_id, media_id, detection_id, content_number
FROM predictions LEFT JOIN (SELECT batch_key, max(finished_at) AS finished_at FROM runs GROUP BY batch_key) USING (batch_key)
WHERE target_id = $target ORDER BY finished_at DESC, batch_key DESC LIMIT 1

-- worst_cameras: Which cameras err most? Weighted rates over events, with the events they stand on.
SELECT camera_id, count(DISTINCT coalesce(event_id, target_id)) AS n_events,
    coalesce(sum(event_weight) FILTER (error_type <> 'correct'), 0) / sum(event_weight) AS error_rate,
    mode(predicted_id) FILTER (error_type <> 'correct') AS confused_with,
    mode(cause) FILTER (error_type <> 'correct') AS cause
FROM errors WHERE is_labelled AND is_current AND event_weight > 0
GROUP BY camera_id ORDER BY error_rate DESC NULLS LAST, n_events DESC

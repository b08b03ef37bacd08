-- worst_cameras: Which cameras err most? Rates of all events, weighted, with the labelled events that they stand on; null where only flagged ones are labelled.
SELECT camera_id, count(DISTINCT coalesce(event_id, target_id)) AS n_events,
    count(DISTINCT coalesce(event_id, target_id)) FILTER (error_type <> 'correct') AS n_errors,
    CASE WHEN bool_or(NOT has_flag)
        THEN coalesce(sum(event_weight) FILTER (error_type <> 'correct'), 0) / sum(event_weight) END AS error_rate,
    mode(predicted_id) FILTER (error_type <> 'correct') AS confused_with,
    mode(cause) FILTER (error_type <> 'correct') AS cause
FROM errors WHERE is_labelled AND is_current AND event_weight > 0
GROUP BY camera_id ORDER BY error_rate DESC NULLS LAST, n_errors DESC, n_events DESC

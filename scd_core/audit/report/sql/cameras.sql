-- cameras: weighted error rates by camera and light, over labelled events.
SELECT coalesce(camera_id, '') AS camera_id,
    CASE WHEN is_infrared THEN 'infrared' WHEN captured_at IS NULL THEN 'unknown'
        WHEN hour(captured_at) >= $day_from AND hour(captured_at) < $day_to THEN 'day' ELSE 'night' END AS light,
    count(DISTINCT coalesce(event_id, target_id)) AS n_events,
    count(DISTINCT coalesce(event_id, target_id)) FILTER (error_type <> 'correct') AS n_errors,
    sum(event_weight) FILTER (error_type <> 'correct') AS wrong_weight, sum(event_weight) AS weight
FROM errors WHERE is_current AND is_labelled GROUP BY ALL

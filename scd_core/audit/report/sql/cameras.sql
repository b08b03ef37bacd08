-- cameras: errors by camera and light, over labelled events; weighted sums, and whether anything that nobody flagged is labelled.
WITH events AS (
    SELECT coalesce(camera_id, '') AS camera_id,
        CASE WHEN is_infrared THEN 'infrared' WHEN captured_at IS NULL THEN 'unknown'
            WHEN hour(captured_at) >= $day_from AND hour(captured_at) < $day_to THEN 'day' ELSE 'night' END AS light,
        coalesce(event_id, target_id) AS event, bool_or(error_type <> 'correct') AS is_wrong, bool_or(NOT has_flag) AS has_unflagged,
        coalesce(sum(event_weight) FILTER (error_type <> 'correct'), 0) AS wrong_weight, sum(event_weight) AS weight
    FROM errors WHERE is_current AND is_labelled GROUP BY ALL
)
SELECT camera_id, light, count(*) AS n_events, count(*) FILTER (is_wrong) AS n_errors, sum(wrong_weight) AS wrong_weight,
    sum(weight) AS weight, sum(weight ** 2) AS squares, count(*) FILTER (has_unflagged) AS n_unflagged
FROM events GROUP BY ALL

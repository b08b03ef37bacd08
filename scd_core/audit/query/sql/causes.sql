-- causes: What causes the errors, and how many of them do masks correct?
SELECT cause, count(*) AS n_errors, count(DISTINCT coalesce(event_id, target_id)) AS n_events,
    count(*) FILTER (is_masked) AS n_masked, count(*) FILTER (is_recovered) AS n_recovered
FROM errors WHERE is_labelled AND is_current AND error_type <> 'correct' GROUP BY cause ORDER BY n_events DESC

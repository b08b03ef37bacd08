-- error_types: labelled predictions by type of error, and what re-classification made of them.
SELECT error_type, count(*) AS n, count(DISTINCT coalesce(event_id, target_id)) AS n_events,
    count(*) FILTER (is_masked) AS n_masked, count(*) FILTER (is_recovered) AS n_recovered,
    count(*) FILTER (is_broken) AS n_broken
FROM errors WHERE is_current AND is_labelled GROUP BY error_type ORDER BY n DESC

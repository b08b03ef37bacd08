-- totals_errors: labelled, wrong, corrected and suspected names by the current prediction of each picture or box.
SELECT count(*) FILTER (is_labelled) AS n_labelled,
    count(*) FILTER (is_labelled AND has_flag) > 0 AND count(*) FILTER (is_labelled AND NOT has_flag) = 0
        AS has_no_control,
    count(DISTINCT event_id) FILTER (is_labelled) AS n_labelled_events,
    count(*) FILTER (is_labelled AND error_type <> 'correct') AS n_errors,
    count(DISTINCT event_id) FILTER (is_labelled AND error_type <> 'correct') AS n_error_events,
    count(*) FILTER (is_labelled AND is_masked AND error_type <> 'correct') AS n_masked_errors,
    count(*) FILTER (is_recovered) AS n_recovered,
    count(*) FILTER (is_broken) AS n_broken,
    count(*) FILTER (is_suspected) AS n_suspected
FROM errors WHERE is_current

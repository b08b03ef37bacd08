-- slice_history: error rates of some slices in all reports, oldest first.
SELECT slice_id, report_date, report_id, error_rate, n_errors, n_events FROM error_slices_history
WHERE slice_id IN (SELECT unnest($slices)) AND error_rate IS NOT NULL ORDER BY report_date, report_id

-- slice_trends: How did each systematic slice develop over the reports?
SELECT slice_id, slice, report_date, report_id, n_events, n_errors, error_rate, ci_low, ci_high, q_value, trend
FROM error_slices_history
WHERE slice_id IN (SELECT slice_id FROM error_slices_history WHERE is_systematic AND folded_into IS NULL)
ORDER BY slice_id, report_id

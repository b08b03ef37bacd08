-- slices: slices of the newest report: systematic ones by harm, then the rest by how surprising they are.
-- Harm: events that went wrong, times how much more often than elsewhere; no error elsewhere counts as a lift of 100.
SELECT * FROM error_slices WHERE error_rate IS NOT NULL
ORDER BY is_systematic DESC, CASE WHEN is_systematic THEN n_errors * least(coalesce(lift, 100), 100) END DESC, q_value,
    slice_id
LIMIT 5000

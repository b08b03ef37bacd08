-- picture_slices: slices of the newest report whose keys all have the values of the row, the worst first.
SELECT slice_id, map_entries(slice) AS slice, family, is_systematic, folded_into, sentence, what_to_do, cause, trend, n_events,
    n_errors, error_rate, ci_low, ci_high, baseline_rate, lift, q_value
FROM error_slices
WHERE len(list_filter(map_entries(slice), lambda entry: NOT list_contains($keys, entry.key || '=' || entry.value))) = 0
ORDER BY is_systematic DESC, folded_into IS NOT NULL, q_value NULLS LAST, slice_id

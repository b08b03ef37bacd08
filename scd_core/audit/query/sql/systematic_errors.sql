-- systematic_errors: Which errors are systematic, and not explained by another one? Most events first.
SELECT sentence, what_to_do, slice, cause, trend, announced_at, onset, onset_low, onset_high, n_errors, n_events, error_rate,
    ci_low, ci_high, baseline_rate, lift, q_value, recovered_rate, confused_with, first_seen, last_seen, slice_id,
    example_media_ids
FROM error_slices WHERE is_systematic AND folded_into IS NULL ORDER BY n_errors DESC, q_value

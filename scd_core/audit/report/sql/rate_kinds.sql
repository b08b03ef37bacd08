-- rate_kinds: kinds of pictures that are alike in what may foretell a wrong name, with the events that they stand for.
SELECT stratum, camera, name, probability, margin, is_masked, is_flip, background, sum(stands_for) AS n_events
FROM rate_frames WHERE stands_for IS NOT NULL GROUP BY ALL ORDER BY ALL

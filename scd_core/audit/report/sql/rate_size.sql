-- rate_size: how many named pictures the batches with labels hold, by primary flag reason, and the events that they are.
SELECT stratum, sum(n_pictures)::BIGINT AS n_pictures, sum(n_events)::DOUBLE AS n_events FROM event_counts
WHERE batch_key IN (SELECT batch_key FROM errors WHERE is_labelled AND is_current) GROUP BY stratum ORDER BY stratum

-- quarantine_batches: the batches that may have a file that could not be used.
SELECT batch_key FROM batch_counts WHERE n_quarantined > 0 UNION SELECT batch_key FROM superseded

-- labelled_batches: batches of which something is labelled.
CREATE OR REPLACE TEMP TABLE labelled_batches AS SELECT DISTINCT batch_key FROM labelled WHERE true_id IS NOT NULL

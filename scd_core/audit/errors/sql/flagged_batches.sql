-- flagged_batches: batches in which nothing but flagged rows is labelled.
CREATE OR REPLACE TEMP TABLE flagged_batches AS
SELECT batch_key FROM derived_errors WHERE is_labelled AND is_current GROUP BY batch_key
HAVING min(label_probability) >= 1 AND max(control_probability) IS NOT NULL

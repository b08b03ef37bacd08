-- label_strata: the counts of each batch with a label by primary flag reason, and the share that is labelled.
-- Where nothing is labelled, what the predictions stand for is added to the same reason's of the other batches; where no
-- batch has a labelled one, label_probability is null in all. Labels of names that a newer run replaced stand for their own batch alone.
CREATE OR REPLACE TEMP TABLE label_strata AS
SELECT *, CASE WHEN n_labelled > 0 THEN n_labelled / n_predictions
        * coalesce(nullif(sum(n_current) FILTER (n_labelled > 0) OVER reason, 0) / nullif(sum(n_current) OVER reason, 0), 1)
    END AS label_probability
FROM label_counts WINDOW reason AS (PARTITION BY stratum)

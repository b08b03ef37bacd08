-- deep: batches of which what is kept does not show all that is drawn before a place, all of a visit, or a label of its.
CREATE OR REPLACE TEMP TABLE deep AS
WITH wanted AS (
    SELECT lots.*, $most / strata.n_pictures AS wanted_lot FROM lots JOIN queue_strata() strata USING (stratum)
),
drawn AS (SELECT * FROM (SELECT batch_key, wanted_lot, unnest(firsts, recursive := true) FROM wanted) WHERE lot <= wanted_lot)
SELECT batch_key FROM wanted WHERE last_lot < least(wanted_lot, 1)
UNION SELECT batch_key FROM drawn ANTI JOIN near USING (batch_key, target_id)

-- kept_lots: about `given_most` pictures of each stratum, those that are drawn first: kept ones, and rows of the batches in `deep`.
SELECT looked_at.*, superseded.media_id IS NULL AS is_current
FROM (
    FROM rows_lots(given_seed, given_most)
    UNION ALL BY NAME
    SELECT batch_key, target_id, stratum, strata.n_pictures, lot, media_id, individual
    FROM (SELECT batch_key, stratum, unnest(firsts, recursive := true) FROM lots ANTI JOIN deep USING (batch_key)) firsts
    JOIN queue_strata() strata USING (stratum) WHERE lot <= given_most / strata.n_pictures
) looked_at
LEFT JOIN superseded ON superseded.batch_key = looked_at.batch_key AND superseded.media_id = looked_at.media_id

-- totals_slices: how many slices are systematic errors of their own, and whether a better model was never tried for them.
SELECT count(*) AS n_systematic,
    count(*) FILTER (cause IN ('place', 'background', 'confusable_pair', 'flank')) > 0
        AND $network IS NOT NULL
        AND NOT EXISTS (FROM improvement_records WHERE $network IN (model_digest, new_model_digest, written_digest)) AS is_untried
FROM error_slices
WHERE is_systematic AND folded_into IS NULL AND error_rate IS NOT NULL AND trend IS DISTINCT FROM 'gone'

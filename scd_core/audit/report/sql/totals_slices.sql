-- totals_slices: how many slices are systematic errors of their own.
SELECT count(*) AS n_systematic FROM error_slices
WHERE is_systematic AND folded_into IS NULL AND error_rate IS NOT NULL AND trend IS DISTINCT FROM 'gone'

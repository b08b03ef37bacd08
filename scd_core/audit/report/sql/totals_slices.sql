-- totals_slices: how many slices are systematic errors of their own, and whether a better model was never tried for them.
WITH own AS (
    SELECT cause FROM error_slices
    WHERE is_systematic AND folded_into IS NULL AND error_rate IS NOT NULL AND trend IS DISTINCT FROM 'gone'
), newest AS (
    SELECT model_digest, coalesce(sum(n_not_available), 0) > 0 AND sum(n_masks) = 0 AS is_without_network
    FROM runs GROUP BY model_digest ORDER BY max(finished_at) DESC LIMIT 1
)
SELECT count(*) AS n_systematic,
    count(*) FILTER (cause IN ('place', 'background', 'confusable_pair', 'flank')) > 0
        AND EXISTS (FROM newest WHERE NOT is_without_network AND model_digest NOT IN (SELECT model_digest FROM improvement_records))
        AS is_untried
FROM own

-- unrated: a primary flag reason of which nothing is labelled where names count, with its share of the predictions in batches with labels.
WITH reasons AS (
    SELECT stratum, sum(n_current) AS n, coalesce(sum(n_labelled) FILTER (n_current > 0), 0) AS n_labelled
    FROM label_strata GROUP BY stratum
)
SELECT stratum, n / sum(n) OVER () AS share FROM reasons QUALIFY n_labelled = 0 AND n > 0 ORDER BY stratum

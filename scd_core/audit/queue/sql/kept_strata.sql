-- kept_strata: how many named pictures there are by primary flag reason, as the report before counted them.
SELECT stratum, sum(n_pictures)::BIGINT AS n_pictures FROM lots GROUP BY stratum

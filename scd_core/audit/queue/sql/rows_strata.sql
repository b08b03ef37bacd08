-- rows_strata: how many named pictures there are by primary flag reason.
SELECT primary_reason(flag_reasons, inclusion_probability) AS stratum, count(*) AS n_pictures
FROM predictions WHERE prediction_status = 'ok' GROUP BY stratum

-- models_known: the models of the audit, newest first.
SELECT model_digest, arg_max(model_name, finished_at) AS model_name, max(finished_at) AS last_at
FROM runs GROUP BY model_digest ORDER BY last_at DESC NULLS LAST, model_digest

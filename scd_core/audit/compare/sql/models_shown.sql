-- models_shown: the models of the audit, with when each was last in use, and when last the shadow of another.
SELECT model_digest, arg_max(model_name, finished_at) AS model_name,
    max(finished_at) FILTER (NOT coalesce(is_shadow, false)) AS used_at, max(finished_at) FILTER (is_shadow) AS shadow_at,
    coalesce(sum(n_predictions), 0)::BIGINT AS n_predictions
FROM runs GROUP BY model_digest ORDER BY used_at DESC NULLS LAST, shadow_at DESC NULLS LAST, model_digest

-- model_change: the model in use against the one before, over labelled targets that both named; no row for one model.
SELECT old_model, new_model, sum(n_targets)::BIGINT AS n_targets, sum(n_mended)::BIGINT AS n_mended,
    sum(n_spoilt)::BIGINT AS n_spoilt
FROM model_changes
WHERE new_model = $model GROUP BY ALL

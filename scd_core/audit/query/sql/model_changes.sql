-- model_changes: What did the newest model change? Labelled targets that two models named, each model against the one before.
WITH models AS (
    SELECT model_digest, rank() OVER (ORDER BY min(finished_at)) AS place FROM runs GROUP BY model_digest
),
named AS (
    SELECT place, model_digest, target_id, true_id, predicted_id, error_type = 'correct' AS is_right
    FROM errors JOIN models USING (model_digest) WHERE is_labelled
    QUALIFY row_number() OVER (PARTITION BY model_digest, target_id ORDER BY is_current DESC, batch_key) = 1
)
SELECT old.model_digest AS old_model, new.model_digest AS new_model, new.true_id, count(*) AS n_targets,
    count(*) FILTER (NOT old.is_right AND new.is_right) AS n_mended,
    count(*) FILTER (old.is_right AND NOT new.is_right) AS n_spoilt
FROM named new JOIN named old ON new.target_id = old.target_id AND new.place = old.place + 1
GROUP BY ALL ORDER BY new_model, n_spoilt DESC, n_mended DESC, new.true_id

-- scored: the targets of the report with the name they should have, the kind of error and the weight.
CREATE OR REPLACE TEMP TABLE scored AS
WITH known AS (
    SELECT model_digest, unnest(individuals) AS individual_id FROM runs
    UNION SELECT model_digest, individual_id FROM model_names
),
named AS (
    SELECT targets.* EXCLUDE (n_frames, visit_id, is_by_lot),
        -- the right name for a model of known individuals
        CASE WHEN targets.true_id IS NULL THEN NULL WHEN targets.true_id = 'blank' THEN 'blank'
            WHEN known.individual_id IS NULL THEN 'unknown'
            ELSE targets.true_id END AS right_id,
        stratum <> 'unflagged' AS has_flag, visit_id,
        CASE WHEN targets.true_id IS NULL THEN NULL WHEN prediction_status <> 'ok' THEN 1
            WHEN is_by_lot THEN probability_of_label END AS label_probability,
        1 / (n_frames * label_probability) AS event_weight
    FROM targets
    LEFT JOIN known ON targets.model_digest = known.model_digest AND targets.true_id = known.individual_id
    LEFT JOIN (SELECT batch_key, stratum, label_probability AS probability_of_label FROM label_strata)
        USING (batch_key, stratum)
),
-- The names that are compared: a picture without an animal is right where it has no name, or one that means so; a name is right
-- that means the same as the true one, a group that it is of, or one of the group that it is.
called AS (
    SELECT named.* EXCLUDE (suspicion_reasons), of_name.relation,
        -- a roll-up of the event's name is no other name
        CASE WHEN of_event.relation IN ('same', 'less_exact', 'more_exact')
            THEN list_filter(suspicion_reasons, lambda reason: reason <> 'event_disagreement')
            ELSE suspicion_reasons END AS suspicion_reasons,
        CASE WHEN of_name.relation IN ('same', 'less_exact', 'more_exact') THEN right_id
            WHEN right_id = 'blank' AND coalesce(lower(predicted_id), 'blank') IN ('blank', 'empty', 'nothing', 'none')
            THEN 'blank' ELSE predicted_id END AS called_id,
        CASE WHEN of_final.relation IN ('same', 'less_exact', 'more_exact') THEN right_id
            WHEN right_id = 'blank' AND coalesce(lower(final_id), 'blank') IN ('blank', 'empty', 'nothing', 'none')
            THEN 'blank' ELSE final_id END AS final_called_id
    FROM named
    LEFT JOIN relations of_name ON named.true_id = of_name.true_id AND named.predicted_id = of_name.name
    LEFT JOIN relations of_final ON named.true_id = of_final.true_id AND named.final_id = of_final.name
    LEFT JOIN relations of_event ON named.event_predicted_id = of_event.true_id AND named.predicted_id = of_event.name
)
SELECT * EXCLUDE (called_id, final_called_id), right_id IS NOT NULL AND called_id IS DISTINCT FROM right_id AS is_wrong,
    CASE WHEN right_id IS NULL THEN NULL
        WHEN called_id IS NULL THEN 'exclusion'
        WHEN called_id = right_id THEN 'correct'
        WHEN called_id = 'unknown' THEN 'split'
        WHEN right_id IN ('unknown', 'blank') THEN 'combination'
        ELSE 'shift' END AS error_type,
    right_id IS NOT NULL AND called_id IS DISTINCT FROM right_id AND final_called_id IS NOT DISTINCT FROM right_id
        AS is_recovered,
    coalesce(called_id = right_id AND final_called_id IS DISTINCT FROM right_id, false) AS is_broken
FROM called WHERE true_id IS NOT NULL OR len(suspicion_reasons) > 0

-- known_names: every name that a model of the audit, or a label in it that is not undone, knows, and whether it is a model's.
SELECT name, bool_or(is_of_model) AS is_of_model FROM (
    SELECT unnest(individuals) AS name, true AS is_of_model FROM runs
    UNION ALL
    SELECT individual_id, false FROM label_matches WHERE individual_id IS NOT NULL AND status <> 'undone'
) GROUP BY name

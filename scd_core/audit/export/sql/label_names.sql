-- label_names: every name that a model of the audit can give, or that a label or a prediction in it has.
SELECT DISTINCT name FROM (
    SELECT unnest(individuals) AS name FROM runs
    UNION ALL SELECT individual_id FROM label_matches WHERE status <> 'undone'
    UNION ALL SELECT final_id FROM newest_predictions
) WHERE name IS NOT NULL ORDER BY name

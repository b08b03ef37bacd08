-- individuals: every name that a prediction or a candidate has.
SELECT DISTINCT name FROM (
    SELECT final_id AS name FROM newest_predictions
    UNION ALL SELECT predicted_id FROM newest_predictions
    UNION ALL SELECT unnest(topk).individual_id FROM newest_predictions
) WHERE name IS NOT NULL ORDER BY name

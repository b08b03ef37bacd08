-- pairs_named: each true name with each other name that its targets were given.
SELECT true_id, predicted_id AS name FROM targets WHERE true_id <> predicted_id
UNION SELECT true_id, final_id FROM targets WHERE true_id <> final_id

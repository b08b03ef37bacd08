-- pairs_named: each true name with each other name that its targets were given, and an event's name with those of its frames.
SELECT true_id, predicted_id AS name FROM targets WHERE true_id <> predicted_id
UNION SELECT true_id, final_id FROM targets WHERE true_id <> final_id
UNION SELECT event_predicted_id, predicted_id FROM targets WHERE list_contains(suspicion_reasons, 'event_disagreement')

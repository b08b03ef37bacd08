-- relations: labelled names by whether they are right, and how they are related to the true one; null where no taxonomy holds both.
SELECT error_type = 'correct' AS is_right, relation, count(*) AS n
FROM errors WHERE is_current AND is_labelled AND predicted_id <> true_id GROUP BY ALL

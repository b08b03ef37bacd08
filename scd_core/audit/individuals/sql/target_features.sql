-- target_features: features of some targets, of one embedding space; a target that several runs saw stands once.
SELECT target_id, any_value(features) AS features FROM embeddings
WHERE embedding_space = $space AND list_contains($targets, target_id) GROUP BY target_id ORDER BY target_id

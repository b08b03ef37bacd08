-- model_names: the individuals that each model named in a batch; of those it only thought possible, where a target of the report is.
CREATE OR REPLACE TEMP TABLE model_names AS
SELECT batch_key, model_digest, predicted_id AS individual_id FROM predictions WHERE predicted_id IS NOT NULL GROUP BY ALL
UNION SELECT batch_key, model_digest, unnest(topk).individual_id FROM predictions SEMI JOIN chosen USING (batch_key, target_id)

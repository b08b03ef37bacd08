-- runs: SOURCE, settings and the model's input of each batch.
SELECT batch_key, any_value(source) AS source, any_value(config) AS config, any_value(model_input) AS model_input
FROM runs GROUP BY batch_key

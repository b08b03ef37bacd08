-- run: SOURCE, settings, the model's input and the names that it knows, of a batch.
SELECT any_value(source) AS source, any_value(config) AS config, any_value(model_input) AS model_input,
    any_value(individuals) AS individuals
FROM runs

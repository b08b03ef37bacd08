-- is_taken: whether a suggestion is the final name: its probability reaches the least that the model's certificate covers.
CREATE OR REPLACE TEMP MACRO is_taken(probability, min_probability) AS
    min_probability IS NOT NULL AND probability >= min_probability::FLOAT

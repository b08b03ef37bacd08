-- certified: the table `scored`, where a suggestion is the final name only if the model's certificate covers it.
CREATE OR REPLACE TEMP TABLE scored AS
WITH offered AS (
    SELECT scored.*, CASE WHEN final_id IS DISTINCT FROM predicted_id THEN final_id END AS suggested_id,
        CASE WHEN final_id IS DISTINCT FROM predicted_id THEN is_taken(final_probability, min_probability) END AS is_certified
    FROM scored LEFT JOIN certificates USING (model_digest)
)
SELECT * REPLACE (
        CASE WHEN is_certified THEN final_id ELSE predicted_id END AS final_id,
        CASE WHEN suggested_id IS NULL OR is_certified THEN final_probability ELSE probability END AS final_probability,
        is_recovered AND coalesce(is_certified, true) AS is_recovered,
        is_broken AND coalesce(is_certified, true) AS is_broken
    )
FROM offered

-- whose: whom each picture or box counts for: a name that a person gave, else the model's, else its candidate; blank ones are left out.
-- current_candidates: see the view of this name. own_group: the same without what people said.
CREATE OR REPLACE TEMP TABLE whose AS
WITH named AS (
    SELECT predictions.target_id, predictions.batch_key, predictions.media_id, predictions.detection_id, content_number,
        probability, standing.candidate_id AS candidate, predictions.final_id, flank,
        CASE WHEN true_id NOT IN ('unknown', 'blank') THEN true_id END AS label_id,
        coalesce(true_id = 'blank', false) AS is_blank,
        CASE WHEN predictions.final_id = 'unknown' THEN standing.candidate_id ELSE predictions.final_id END AS own_group
    FROM newest_predictions AS predictions
    LEFT JOIN truth ON truth.media_id = predictions.media_id
        AND truth.detection_id IS NOT DISTINCT FROM predictions.detection_id
    LEFT JOIN current_candidates AS standing ON standing.target_id = predictions.target_id
        AND standing.batch_key = predictions.batch_key
    WHERE prediction_status = 'ok'
)
SELECT * EXCLUDE (is_blank), coalesce(label_id, own_group) AS individual_id,
    label_id IS NULL AND final_id = 'unknown' AS is_candidate
FROM named WHERE NOT is_blank

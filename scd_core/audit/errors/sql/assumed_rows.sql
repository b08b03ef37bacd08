-- assumed_rows: what nothing flagged and nobody labelled in the flagged batches; in labelled events, only what agrees with them.
CREATE OR REPLACE TEMP TABLE assumed_rows AS
WITH labelled_events AS (
    SELECT coalesce(event_id, target_id) AS event,
        list_concat(
            list(DISTINCT true_id), coalesce(list(DISTINCT predicted_id) FILTER (error_type = 'correct'), [])
        ) AS names
    FROM derived_errors WHERE is_labelled AND is_current GROUP BY ALL
),
newest AS (
    SELECT media_id, arg_max(batch_key, (finished_at, batch_key)) AS batch_key
    FROM (SELECT DISTINCT batch_key, media_id FROM predictions)
    JOIN (SELECT batch_key, max(finished_at) AS finished_at FROM runs GROUP BY batch_key) USING (batch_key)
    GROUP BY media_id
),
rows AS (
    SELECT batch_key, target_id, coalesce(event_id, target_id) AS event, predicted_id, inclusion_probability,
        count(*) OVER (PARTITION BY batch_key, coalesce(event_id, target_id)) AS n_frames
    FROM predictions SEMI JOIN flagged_batches USING (batch_key) SEMI JOIN newest USING (batch_key, media_id)
    WHERE prediction_status = 'ok'
)
SELECT batch_key, target_id, event, n_frames
FROM rows ANTI JOIN (SELECT batch_key, target_id FROM derived_errors WHERE is_labelled) USING (batch_key, target_id)
LEFT JOIN labelled_events USING (event)
WHERE inclusion_probability < 1 AND (names IS NULL OR list_contains(names, predicted_id))

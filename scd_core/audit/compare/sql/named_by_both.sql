-- named_by_both: the targets that each of two models named, with the name of its newest run.
CREATE OR REPLACE TEMP TABLE named_by_both AS
SELECT model_digest, target_id, media_id, detection_id, event_id, predicted_id, drawn_by(content_number, target_id) AS drawn_by
FROM predictions LEFT JOIN (SELECT batch_key, max(finished_at) AS finished_at FROM runs GROUP BY batch_key) USING (batch_key)
WHERE prediction_status = 'ok' AND model_digest IN ($old, $new)
QUALIFY row_number() OVER (
    PARTITION BY model_digest, target_id ORDER BY finished_at DESC NULLS LAST, batch_key
) = 1

-- label_next: what a person should name next: one picture per unlabelled event, each with the reason.
-- First the random control sample, without which no rate is honest; then names that are in doubt for the most reasons;
-- then the names that the model was least sure of. Pictures without a time share an event by their folder alone,
-- so each of them stands by itself.
WITH labelled AS (
    SELECT DISTINCT CASE WHEN captured_at IS NULL THEN target_id ELSE coalesce(event_id, target_id) END AS event
    FROM errors WHERE is_labelled
),
doubts AS (
    SELECT batch_key, target_id, suspicion_reasons FROM errors WHERE is_current AND is_suspected
),
candidates AS (
    SELECT predictions.batch_key, predictions.target_id, media_id, predicted_id, probability, margin, is_control,
        CASE WHEN captured_at IS NULL THEN predictions.target_id ELSE coalesce(predictions.event_id, predictions.target_id) END
            AS event,
        coalesce(suspicion_reasons, []) AS reasons, flag_reasons
    FROM predictions LEFT JOIN doubts USING (batch_key, target_id)
    LEFT JOIN (SELECT batch_key, media_id, captured_at FROM media) times USING (batch_key, media_id)
    WHERE prediction_status = 'ok' AND (is_flagged OR doubts.target_id IS NOT NULL)
),
one_each AS (
    SELECT * FROM candidates ANTI JOIN labelled USING (event)
    QUALIFY row_number() OVER (
        PARTITION BY event ORDER BY is_control DESC, len(reasons) DESC, margin, target_id
    ) = 1
),
counted AS (SELECT *, count(*) OVER () AS n_waiting FROM one_each),
ranked AS (
    SELECT *, row_number() OVER (PARTITION BY is_control ORDER BY len(reasons) DESC, margin, target_id) AS place
    FROM counted
)
SELECT ranked.*, media.file, media.uri, media.camera_id, media.captured_at FROM (
    -- Controls and doubts alternate, so that neither waits for the other to be finished.
    SELECT * FROM ranked ORDER BY place, is_control DESC, target_id LIMIT $limit
) ranked
LEFT JOIN (SELECT batch_key, media_id, file, uri, camera_id, captured_at FROM media) media
    USING (batch_key, media_id)
ORDER BY place, is_control DESC, target_id

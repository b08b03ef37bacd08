-- visits: the events of each individual, as labelled, else as named, with the visit that each is part of.
-- A visit: events of one individual at one camera with at most `visit_minutes` between them, or one without time or camera.
-- An event whose labels are all of one individual is that individual's, with the frames of it that nobody labelled.
CREATE OR REPLACE TEMP TABLE visits AS
WITH frames AS (
    SELECT predictions.batch_key, coalesce(predictions.event_id, target_id) AS event,
        coalesce(labelled.true_id, truths.true_id, predicted_id) AS individual,
        primary_reason(flag_reasons, inclusion_probability) <> 'unflagged' AS has_reason,
        labelled.true_id IS NOT NULL AS has_label, predictions.model_digest, camera_id, deployment_id, captured_at,
        is_infrared, quality
    FROM predictions JOIN media_quality media USING (batch_key, media_id)
    ANTI JOIN superseded USING (batch_key, media_id)
    LEFT JOIN labelled USING (batch_key, target_id)
    LEFT JOIN event_truths truths ON truths.batch_key = predictions.batch_key
        AND truths.event = coalesce(predictions.event_id, target_id)
    WHERE (prediction_status = 'ok' OR labelled.true_id IS NOT NULL)
        AND predictions.batch_key IN (SELECT batch_key FROM labelled WHERE true_id IS NOT NULL)
),
events AS (
    SELECT batch_key, event, individual, min(model_digest) AS model_digest, min(camera_id) AS camera_id,
        min(deployment_id) AS deployment_id, min(captured_at) AS first_at, max(captured_at) AS last_at,
        2 * count(*) FILTER (is_infrared) > count(*) AS is_infrared,
        CASE WHEN 2 * count(*) FILTER (quality <> 'good') > count(*) THEN max(quality) FILTER (quality <> 'good')
            ELSE 'good' END AS quality,
        bool_or(has_reason) AS is_flagged, bool_or(has_label) AS is_labelled
    FROM frames GROUP BY batch_key, event, individual
),
-- One number for what an event may be a visit together with, because sorting by four strings takes longer.
together AS (
    SELECT *, hash(batch_key, camera_id, individual, CASE WHEN camera_id IS NULL OR first_at IS NULL THEN event END) AS whole
    FROM events
),
ordered AS (
    SELECT *, max(last_at) OVER (
            PARTITION BY whole ORDER BY first_at, event ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS before
    FROM together
),
started AS (
    SELECT *, before IS NULL OR first_at > before + to_minutes($visit_minutes::BIGINT) AS is_start FROM ordered
)
SELECT * EXCLUDE (whole, before, is_start), left(md5(concat_ws(chr(31), batch_key, individual,
        last_value(CASE WHEN is_start THEN event END IGNORE NULLS) OVER (PARTITION BY whole ORDER BY first_at, event)
    )), 16) AS visit_id
FROM started

-- slice: pictures without a label that belong to a slice as far as that can be known before a label: one of each event, by lot.
WITH finished AS (SELECT batch_key, max(finished_at) AS finished_at FROM runs GROUP BY batch_key),
places AS (
    SELECT batch_key, media_id, event_id, camera_id, deployment_id, is_infrared, captured_at FROM media
    WHERE status = 'ok' AND ($camera IS NULL OR camera_id = $camera) AND ($deployment IS NULL OR deployment_id = $deployment)
),
-- A slice of a true individual may hold what is named so, what has that name among the next, and what it is mostly called.
named AS (
    SELECT batch_key, target_id, media_id, detection_id, content_number, model_digest, predicted_id, coalesce(event_id, target_id) AS event FROM predictions
    WHERE prediction_status = 'ok' AND ($name IS NULL OR predicted_id = $name)
        AND ($model IS NULL OR model_digest = $model)
        AND ($true IS NULL OR $name IS NOT NULL OR predicted_id IN ($true, $confused)
            OR list_contains(list_transform(topk, lambda one: one.individual_id), $true))
),
found AS (
    SELECT named.*, lot_of(content_number, named.target_id) AS lot FROM named JOIN places USING (batch_key, media_id)
    ANTI JOIN (SELECT batch_key, target_id FROM errors WHERE is_labelled) labelled USING (batch_key, target_id)
    WHERE ($hour IS NULL OR strftime(captured_at, '%Hh') = $hour)
        AND ($week IS NULL OR strftime(captured_at, '%G-W%V') = $week)
        AND ($light IS NULL OR $light = CASE WHEN is_infrared THEN 'infrared' WHEN hour(captured_at) BETWEEN 6 AND 17 THEN 'day'
            WHEN captured_at IS NOT NULL THEN 'night' END)
),
newest AS (
    SELECT found.*, row_number() OVER (PARTITION BY media_id, target_id ORDER BY finished_at DESC, batch_key DESC) AS age
    FROM found JOIN finished USING (batch_key)
),
drawn AS (SELECT *, row_number() OVER (PARTITION BY batch_key, event ORDER BY lot, target_id) AS turn FROM newest WHERE age = 1)
SELECT row_number() OVER (ORDER BY lot, target_id) AS place, batch_key, target_id, media_id, detection_id, content_number
FROM drawn WHERE turn = 1
ORDER BY place LIMIT $limit

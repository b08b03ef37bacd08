-- places: each camera of a batch, and the batch that stands for it among those whose flagged visits became known on one day.
-- Where visits were looked at on the same days, they need not be kept apart by batch. Those without such a label are alike too.
CREATE OR REPLACE TEMP TABLE places AS
WITH known AS (
    SELECT batch_key, camera_id, coalesce(visit_id, concat_ws(chr(31), coalesce(event_id, target_id), true_id)) AS visit,
        min(coalesce(epoch_us(known_at), 0)) // 86400000000 AS day, bool_and(has_flag) AS is_flagged
    FROM scored WHERE true_id IS NOT NULL AND is_current GROUP BY ALL
),
-- Of no flagged visit anywhere: all labelled ones.
days AS (
    SELECT batch_key, camera_id, min(day) AS first_day, max(day) AS last_day
    FROM known WHERE is_flagged OR NOT (SELECT bool_or(is_flagged) FROM known) GROUP BY batch_key, camera_id
)
SELECT cells.batch_key, cells.camera_id, min(cells.batch_key) OVER (
        PARTITION BY cells.camera_id, days.batch_key IS NULL,
            CASE WHEN first_day = last_day THEN first_day::VARCHAR ELSE days.batch_key END
    ) AS stands_for
FROM (SELECT DISTINCT batch_key, camera_id FROM cells) cells
LEFT JOIN days ON days.batch_key = cells.batch_key AND days.camera_id IS NOT DISTINCT FROM cells.camera_id

-- label_queue: what to label next, in order: one picture of each visit in which nobody has labelled anything.
-- A visit is events of one name at one camera in one batch, each at most `given_minutes` after the one before. One of its pictures,
-- drawn at random, stands for it. The first reason for which triage flagged that picture, or `unflagged`, is its stratum. Every
-- picture has a lot, a number between 0 and 1 made of a hash of `given_seed` and its content; inside a stratum the smallest comes
-- first. So any first part of the list holds a simple random sample of each stratum, the chance to be in it is the lot of the last
-- one, and the list stays the same until labels or batches are added.
-- Strata alternate: one visit in three is unflagged, the others go to the reasons by the square root of the errors that are to be
-- expected there: the visits that wait, times the share of wrong names among the labels so far.
-- Of each stratum about `given_most` pictures with the smallest lots are looked at. Null for a parameter takes the setting of the
-- newest run.
WITH stored AS (
    SELECT coalesce(given_seed, try_cast(config ->> '$.triage.seed' AS BIGINT), 0) AS seed,
        to_minutes(coalesce(given_minutes, try_cast(config ->> '$.slices.visit_minutes' AS BIGINT), 30)) AS gap
    FROM (SELECT arg_max(config, finished_at) AS config FROM runs)
),
named AS NOT MATERIALIZED (
    SELECT batch_key, target_id, media_id, detection_id, event_id, coalesce(event_predicted_id, predicted_id) AS individual
    FROM predictions WHERE prediction_status = 'ok'
),
looked_at AS MATERIALIZED (FROM queue_lots((SELECT seed FROM stored), given_most)),
-- Labels that came after the newest report too.
labelled AS MATERIALIZED (
    SELECT batch_key, target_id, event_id, true_id AS individual, camera_id, captured_at FROM errors WHERE is_labelled
    UNION ALL
    SELECT named.batch_key, target_id, named.event_id, given.individual, camera_id, captured_at
    FROM queue_given() given JOIN named USING (media_id)
    JOIN media ON media.batch_key = named.batch_key AND media.media_id = named.media_id
    WHERE named.detection_id IS NULL OR given.detection_id IS NULL OR given.detection_id = named.detection_id
),
near AS (FROM queue_near() SEMI JOIN looked_at USING (batch_key, individual)),
-- A labelled picture is of the visits of both its names, the given and the true one: neither is offered again.
members AS (
    SELECT near.*, labelled.target_id IS NOT NULL AS is_labelled
    FROM near LEFT JOIN (SELECT DISTINCT batch_key, target_id FROM labelled) labelled USING (batch_key, target_id)
    UNION ALL
    SELECT *, target_id, true FROM labelled SEMI JOIN looked_at USING (batch_key, individual)
),
-- A picture without a time is a visit by itself; without a camera, its event is.
gaps AS (
    SELECT *, CASE WHEN captured_at IS NULL THEN target_id WHEN camera_id IS NULL THEN coalesce(event_id, target_id) END AS apart,
        coalesce(captured_at - lag(captured_at) OVER in_time > (SELECT gap FROM stored), true) AS is_start
    FROM members
    WINDOW in_time AS (
        PARTITION BY batch_key, individual, camera_id,
            CASE WHEN captured_at IS NULL THEN target_id WHEN camera_id IS NULL THEN coalesce(event_id, target_id) END
        ORDER BY captured_at
    )
),
numbered AS (
    SELECT *, count(*) FILTER (is_start) OVER (PARTITION BY batch_key, individual, camera_id, apart ORDER BY captured_at) AS visit
    FROM gaps
),
visits AS (
    SELECT batch_key, arg_min(target_id, md5((SELECT seed FROM stored) || ':' || drawn_by)) AS target_id FROM numbered
    GROUP BY batch_key, individual, camera_id, apart, visit HAVING NOT bool_or(is_labelled)
),
turns AS (
    SELECT looked_at.*, row_number() OVER (PARTITION BY stratum ORDER BY lot, target_id) AS turn,
        n_pictures * count(*) OVER (PARTITION BY stratum) / n_looked_at AS n_visits
    FROM looked_at SEMI JOIN visits USING (batch_key, target_id)
    JOIN (SELECT stratum, count(*) AS n_looked_at FROM looked_at GROUP BY stratum) looked USING (stratum)
    WHERE is_current
),
yields AS (
    SELECT stratum, (count(*) FILTER (error_type <> 'correct') + 1) / (count(*) + 2) AS wrong_share
    FROM errors WHERE is_labelled AND is_current GROUP BY stratum
),
ranked AS (
    SELECT turns.*, row_number() OVER (
            PARTITION BY stratum = 'unflagged' ORDER BY (turn - 0.5) / sqrt(n_visits * coalesce(wrong_share, 0.5)), stratum
        ) AS rank
    FROM turns LEFT JOIN yields USING (stratum)
)
SELECT row_number() OVER (ORDER BY CASE WHEN stratum = 'unflagged' THEN 3 * rank - 1 ELSE 1.5 * rank - 0.5 END) AS place,
    batch_key, target_id, media_id, stratum AS queue, lot AS queue_probability
FROM ranked

-- label_queue: what to label next, in order: one picture of each visit in which nobody has labelled anything.
-- A visit is events of one name at one camera, each at most `given_minutes` after the one before. One of its pictures, drawn at
-- random, stands for it. The first reason for which triage flagged that picture, or `unflagged`, is its stratum. Inside a stratum
-- the order is a random permutation, so that any first part of the list holds a simple random sample of each stratum. All draws
-- are a hash of `given_seed` and the target, so the list stays the same until labels or batches are added.
-- Strata alternate: one visit in three is unflagged, the others go to the reasons by the square root of what waits for each.
-- Null for a parameter takes the setting of the newest run.
WITH stored AS (
    SELECT coalesce(given_seed, try_cast(config ->> '$.triage.seed' AS BIGINT), 0) AS seed,
        to_minutes(coalesce(given_minutes, try_cast(config ->> '$.slices.visit_minutes' AS BIGINT), 30)) AS gap
    FROM (SELECT arg_max(config, finished_at) AS config FROM runs)
),
newest AS (
    SELECT media_id, arg_max(batch_key, (finished_at, batch_key)) AS batch_key
    FROM (SELECT DISTINCT batch_key, media_id FROM predictions)
    JOIN (SELECT batch_key, max(finished_at) AS finished_at FROM runs GROUP BY batch_key) USING (batch_key)
    GROUP BY media_id
),
named AS (
    SELECT batch_key, predictions.target_id, media_id, predictions.detection_id, camera_id, captured_at,
        coalesce(event_predicted_id, predicted_id) AS individual,
        CASE WHEN captured_at IS NULL THEN predictions.target_id
            WHEN camera_id IS NULL THEN coalesce(predictions.event_id, predictions.target_id) END AS apart,
        coalesce(
            list_filter(flag_reasons, lambda reason: reason NOT IN ('control', 'cut_by_budget'))[1],
            CASE WHEN flag_reasons IS NULL AND is_flagged AND inclusion_probability >= 1 THEN 'flagged' ELSE 'unflagged' END
        ) AS stratum
    FROM predictions JOIN newest USING (batch_key, media_id)
    JOIN (SELECT batch_key, media_id, camera_id, captured_at FROM media) USING (batch_key, media_id)
    WHERE prediction_status = 'ok'
),
-- Labels that came after the newest report too. One without a detection counts for the whole picture.
given AS (
    SELECT media_id, detection_id, coalesce(individual_id, state) AS individual FROM labels
    WHERE media_id IS NOT NULL AND undoes_import_id IS NULL
        AND import_id NOT IN (SELECT undoes_import_id FROM labels WHERE undoes_import_id IS NOT NULL)
    UNION
    SELECT media_id, detection_id, true_id FROM errors WHERE is_labelled
),
labelled AS (
    SELECT DISTINCT named.* REPLACE (given.individual AS individual) FROM named JOIN given USING (media_id)
    WHERE named.detection_id IS NULL OR given.detection_id IS NULL OR given.detection_id = named.detection_id
),
-- A labelled picture is of the visits of both its names, the given and the true one: neither is offered again.
members AS (
    SELECT named.*, labelled.target_id IS NOT NULL AS is_labelled
    FROM named LEFT JOIN (SELECT DISTINCT batch_key, target_id FROM labelled) labelled USING (batch_key, target_id)
    UNION ALL
    SELECT *, true FROM labelled
),
gaps AS (
    SELECT *, coalesce(captured_at - lag(captured_at) OVER in_time > (SELECT gap FROM stored), true) AS is_start
    FROM members WINDOW in_time AS (PARTITION BY individual, camera_id, apart ORDER BY captured_at)
),
numbered AS (
    SELECT *, count(*) FILTER (is_start) OVER (PARTITION BY individual, camera_id, apart ORDER BY captured_at) AS visit,
        (SELECT seed FROM stored) || ':' || target_id AS lot
    FROM gaps
),
visits AS (
    SELECT arg_min(
            {batch_key: batch_key, target_id: target_id, media_id: media_id, stratum: stratum, lot: lot}, (md5_number_lower(lot), target_id)
        ) AS one
    FROM numbered GROUP BY individual, camera_id, apart, visit HAVING NOT bool_or(is_labelled)
),
turns AS (
    SELECT one.*, row_number() OVER (PARTITION BY one.stratum ORDER BY md5_number_upper(one.lot), one.target_id) AS turn,
        count(*) OVER (PARTITION BY one.stratum) AS n_of_stratum, count(*) OVER () AS n_waiting
    FROM visits
),
-- Reasons take turns by the square root of their size; of every three places, two are theirs.
ranked AS (
    SELECT *, row_number() OVER (
            PARTITION BY stratum = 'unflagged' ORDER BY (turn - 0.5) / sqrt(n_of_stratum), stratum
        ) AS rank
    FROM turns
)
SELECT row_number() OVER (ORDER BY CASE WHEN stratum = 'unflagged' THEN 3 * rank - 1 ELSE 1.5 * rank - 0.5 END) AS place,
    batch_key, target_id, media_id, stratum AS queue, turn / n_of_stratum AS queue_probability, n_waiting
FROM ranked

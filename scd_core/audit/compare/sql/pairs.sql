-- pairs: rows of errors of two models over one labelled target each, by their place in the table `compared`.
-- A target is paired with itself, or with the one labelled target of its picture where the other model named the picture otherwise
-- (whole, or box by box). Of several runs of one model the current one counts, else the newest.
WITH placed AS (SELECT row_number() OVER () - 1 AS place, * FROM compared),
named AS (
    SELECT place, model_digest, target_id, media_id, true_id FROM placed
    LEFT JOIN (SELECT batch_key, max(finished_at) AS finished_at FROM runs GROUP BY batch_key) USING (batch_key)
    WHERE is_labelled AND model_digest IN ($old, $new)
    QUALIFY row_number() OVER (
        PARTITION BY model_digest, target_id ORDER BY is_current DESC, finished_at DESC NULLS LAST, batch_key
    ) = 1
),
old AS (FROM named WHERE model_digest = $old),
new AS (FROM named WHERE model_digest = $new),
same AS (
    SELECT old.place AS old_place, new.place AS new_place, old.media_id
    FROM old JOIN new ON old.target_id = new.target_id AND old.true_id = new.true_id
),
alone_old AS (
    SELECT any_value(place) AS place, media_id, any_value(true_id) AS true_id FROM old
    WHERE media_id NOT IN (SELECT media_id FROM same) GROUP BY media_id HAVING count(*) = 1
),
alone_new AS (
    SELECT any_value(place) AS place, media_id, any_value(true_id) AS true_id FROM new
    WHERE media_id NOT IN (SELECT media_id FROM same) GROUP BY media_id HAVING count(*) = 1
),
paired AS (
    SELECT old_place, new_place FROM same
    UNION ALL SELECT alone_old.place, alone_new.place FROM alone_old JOIN alone_new USING (media_id, true_id)
)
SELECT old_place, new_place, (SELECT count(*) FROM old) - (SELECT count(*) FROM paired) AS n_only_old,
    (SELECT count(*) FROM new) - (SELECT count(*) FROM paired) AS n_only_new
FROM paired ORDER BY old_place

-- disagreements: unlabelled targets that the two models name differently, one of each event, in a random order by content, which never changes.
WITH unlike AS (
    SELECT new.target_id, new.media_id, new.detection_id, coalesce(new.event_id, new.target_id) AS event,
        old.predicted_id AS old_id, new.predicted_id AS new_id, new.drawn_by
    FROM named_by_both new JOIN named_by_both old USING (target_id)
    WHERE new.model_digest = $new AND old.model_digest = $old AND old.predicted_id <> new.predicted_id
        AND new.media_id NOT IN (SELECT media_id FROM labelled WHERE true_id IS NOT NULL)
),
one_each AS (
    FROM unlike QUALIFY row_number() OVER (PARTITION BY event ORDER BY md5(drawn_by), target_id) = 1
)
SELECT file, detection_id, old_id, new_id FROM one_each
JOIN (SELECT media_id, any_value(file) AS file FROM media GROUP BY media_id) USING (media_id)
ORDER BY md5(drawn_by), target_id

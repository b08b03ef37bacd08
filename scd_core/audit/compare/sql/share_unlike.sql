-- share_unlike: of the events that both models named, the share that they name differently, each by the share of its targets.
WITH events AS (
    SELECT coalesce(new.event_id, new.target_id) AS event,
        2 * count(*) FILTER (old.predicted_id <> new.predicted_id) >= count(*) AS is_unlike
    FROM named_by_both new JOIN named_by_both old USING (target_id)
    WHERE new.model_digest = $new AND old.model_digest = $old GROUP BY event
)
SELECT count(*) FILTER (is_unlike) / nullif(count(*), 0) AS share FROM events

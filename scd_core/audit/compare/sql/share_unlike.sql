-- share_unlike: of the events that both models named, the share that they name differently, each by the share of its targets.
WITH named AS (
    SELECT model_digest, target_id, event_id, predicted_id
    FROM predictions LEFT JOIN (SELECT batch_key, max(finished_at) AS finished_at FROM runs GROUP BY batch_key) USING (batch_key)
    WHERE prediction_status = 'ok' AND model_digest IN ($old, $new)
    QUALIFY row_number() OVER (
        PARTITION BY model_digest, target_id ORDER BY finished_at DESC NULLS LAST, batch_key
    ) = 1
),
events AS (
    SELECT coalesce(new.event_id, new.target_id) AS event,
        2 * count(*) FILTER (old.predicted_id <> new.predicted_id) >= count(*) AS is_unlike
    FROM named new JOIN named old USING (target_id)
    WHERE new.model_digest = $new AND old.model_digest = $old GROUP BY event
)
SELECT count(*) FILTER (is_unlike) / nullif(count(*), 0) AS share FROM events

-- suspicion_kinds: reasons to doubt unlabelled names, with their counts.
SELECT reason, count(*) AS n, count(DISTINCT event) AS n_events FROM (
    SELECT unnest(suspicion_reasons) AS reason, coalesce(event_id, target_id) AS event
    FROM errors WHERE is_current AND is_suspected
) GROUP BY reason ORDER BY n DESC, reason

-- rate_visits: how many labelled visits a rate is made of.
SELECT count(DISTINCT coalesce(visit_id, event_id, target_id)) AS n FROM errors
WHERE is_labelled AND is_current AND event_weight > 0

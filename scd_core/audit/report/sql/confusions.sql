-- confusions: the pairs of individuals confused most, in labelled events, each with all events of the true one.
WITH pairs AS (
    SELECT true_id, coalesce(predicted_id, '') AS predicted_id,
        count(DISTINCT coalesce(event_id, target_id)) AS n_events,
        count(DISTINCT coalesce(event_id, target_id)) FILTER (is_recovered) AS n_recovered,
        any_value(error_type) AS error_type, any_value(relation) AS relation
    FROM errors WHERE is_current AND is_labelled AND error_type <> 'correct' GROUP BY ALL
),
individuals AS (
    SELECT true_id, count(DISTINCT coalesce(event_id, target_id)) AS n_total
    FROM errors WHERE is_current AND is_labelled GROUP BY true_id
)
SELECT pairs.*, n_total, count(*) OVER () AS n_pairs FROM pairs JOIN individuals USING (true_id)
ORDER BY n_events DESC, true_id, predicted_id LIMIT $limit

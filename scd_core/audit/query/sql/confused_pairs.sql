-- confused_pairs: Which individuals are taken for which? Events, and the share of the true individual's events.
WITH pairs AS (
    SELECT true_id, predicted_id, error_type, count(DISTINCT coalesce(event_id, target_id)) AS n_events,
        sum(event_weight) AS weight, count(*) FILTER (is_recovered) AS n_recovered, mode(cause) AS cause
    FROM errors WHERE is_labelled AND is_current GROUP BY true_id, predicted_id, error_type
)
SELECT true_id, predicted_id, n_events, weight / sum(weight) OVER (PARTITION BY true_id) AS share_of_true,
    n_recovered, cause
FROM pairs QUALIFY error_type <> 'correct' ORDER BY n_events DESC, true_id, predicted_id

-- calibration: labelled predictions in ten bins of probability: mean probability, share right, effective events.
WITH placed AS (
    SELECT least(9, floor(10 * probability))::INT AS bin, probability, event_weight,
        coalesce(event_id, target_id) AS event, error_type = 'correct' AS is_right
    FROM errors WHERE is_current AND is_labelled AND probability IS NOT NULL AND predicted_id IS NOT NULL
),
by_event AS (
    SELECT bin, event, count(*) AS n, sum(event_weight) AS weight, sum(event_weight * probability) AS given,
        sum(event_weight * is_right::INT) AS hit
    FROM placed GROUP BY bin, event
)
SELECT bin, sum(n)::BIGINT AS n, sum(weight) AS weight, sum(given) / sum(weight) AS probability,
    sum(hit) / sum(weight) AS accuracy, sum(weight) ** 2 / sum(weight ** 2) AS n_effective
FROM by_event GROUP BY bin HAVING sum(weight) > 0 ORDER BY bin

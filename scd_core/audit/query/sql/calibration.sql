-- calibration: Are the probabilities honest? Weighted share of right names per tenth of probability.
SELECT floor(least(probability, 0.999) * 10) / 10 AS probability_from, count(*) AS n,
    sum(event_weight * probability) / sum(event_weight) AS mean_probability,
    coalesce(sum(event_weight) FILTER (error_type = 'correct'), 0) / sum(event_weight) AS share_right
FROM errors WHERE is_labelled AND is_current AND probability IS NOT NULL GROUP BY 1 ORDER BY 1

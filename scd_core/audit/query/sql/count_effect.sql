-- count_effect: What do the errors do to the count of individuals? What labels show, so each number is the least it can be.
WITH known AS (
    SELECT true_id, bool_or(error_type = 'split') AS was_split,
        bool_or(error_type = 'correct') AS was_right, bool_and(error_type = 'combination') AS was_swallowed,
        count(DISTINCT coalesce(visit_id, event_id, target_id)) FILTER (error_type = 'split') AS n_split_events,
        count(DISTINCT coalesce(visit_id, event_id, target_id)) FILTER (error_type = 'combination') AS n_combined_events
    FROM errors WHERE is_labelled AND is_current GROUP BY true_id
)
SELECT count(*) FILTER (true_id NOT IN ('unknown', 'blank')) AS n_individuals_labelled,
    count(*) FILTER (was_split AND true_id <> 'blank') AS n_individuals_split,
    count(*) FILTER (was_split AND was_right AND true_id <> 'blank') AS n_individuals_twice,
    coalesce(sum(n_split_events), 0)::BIGINT AS n_ghost_events,
    count(*) FILTER (was_swallowed AND true_id <> 'blank') AS n_individuals_lost,
    coalesce(sum(n_combined_events), 0)::BIGINT AS n_combined_events
FROM known

-- totals: pictures of the whole audit and their names, each as the run that counts for it has it.
SELECT coalesce(sum(n_media), 0)::BIGINT AS n_media, coalesce(sum(n_quarantined), 0)::BIGINT AS n_quarantined,
    coalesce(sum(n_duplicates), 0)::BIGINT AS n_duplicates, min(first_captured_at) AS first_captured_at,
    max(last_captured_at) AS last_captured_at, coalesce(len(list_distinct(flatten(list(cameras)))), 0) AS n_cameras,
    coalesce(sum(n_predictions), 0)::BIGINT AS n_predictions, coalesce(sum(n_unnamed), 0)::BIGINT AS n_unnamed,
    coalesce(sum(n_flagged), 0)::BIGINT AS n_flagged,
    coalesce(len(list_distinct(flatten(list(individuals)))), 0) AS n_individuals,
    coalesce(sum(n_masked), 0)::BIGINT AS n_masked
FROM batch_counts

-- new_batches: what was added by batches that finished after a moment; everything where there is none.
SELECT count(*) AS n_batches, coalesce(sum(n_media), 0) AS n_media,
    coalesce(sum(n_quarantined), 0) AS n_quarantined, coalesce(sum(n_predictions), 0) AS n_predictions,
    coalesce(sum(n_masks), 0) AS n_masks
FROM runs WHERE $since IS NULL OR finished_at > $since

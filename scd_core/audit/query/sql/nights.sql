-- nights: How did each batch go?
SELECT batch_date, batch_key, model_digest, n_media, n_quarantined, n_predictions, n_flagged, n_masks, n_failed,
    n_flips,
    round(epoch(finished_at - started_at), 1) AS seconds
FROM runs ORDER BY batch_date DESC, batch_key

-- evidence: the mask of a target, those of a pair of names too, and each view in which it was named again.
-- `predicted_id` is the name that a mask is of, or that a view is given.
SELECT target_id, mask_png, contrast_id, ssr_probability, sdr_probability, NULL::VARCHAR AS strategy, predicted_id,
    NULL::FLOAT AS probability, NULL::FLOAT AS crop_x_min, NULL::FLOAT AS crop_y_min, NULL::FLOAT AS crop_width,
    NULL::FLOAT AS crop_height
FROM masks WHERE target_id = $target AND mask_status = 'ok'
UNION ALL
SELECT target_id, NULL, NULL, NULL, NULL, strategy, predicted_id, probability, crop_x_min, crop_y_min, crop_width, crop_height
FROM reclassifications WHERE target_id = $target AND strategy_status = 'ok'

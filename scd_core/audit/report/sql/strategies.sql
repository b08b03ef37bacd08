-- strategies: what each strategy made of some targets.
SELECT batch_key, target_id, strategy, predicted_id, probability, crop_x_min, crop_y_min, crop_width, crop_height
FROM reclassifications WHERE target_id IN (SELECT unnest($targets)) AND strategy_status = 'ok'

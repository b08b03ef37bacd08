-- references: labelled pictures of an individual, those of one flank first, the model's right and surest names before others.
SELECT batch_key, target_id, media_id, flank, error_type = 'correct' AS is_right FROM errors
WHERE is_labelled AND is_current AND true_id = $individual
ORDER BY flank IS NOT DISTINCT FROM $flank DESC, error_type = 'correct' DESC, probability DESC NULLS LAST, target_id LIMIT $limit

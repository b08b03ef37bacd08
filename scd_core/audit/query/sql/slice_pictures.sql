-- slice_pictures: Which wrong pictures does each systematic error hold? Labelled ones, a row each, by slice.
WITH wrong AS (
    SELECT *, [
        'camera_id=' || camera_id, 'deployment_id=' || deployment_id, 'true_id=' || true_id,
        'predicted_id=' || predicted_id, 'pair=' || true_id || ' -> ' || predicted_id, 'flank=' || flank,
        'quality=' || quality, 'model_digest=' || model_digest, 'labelled_by=' || labelled_by,
        'hour=' || strftime(captured_at, '%Hh'), 'week=' || strftime(captured_at, '%G-W%V'),
        'light=' || CASE WHEN is_infrared THEN 'infrared' WHEN hour(captured_at) BETWEEN 6 AND 17 THEN 'day'
            WHEN captured_at IS NOT NULL THEN 'night' END
    ] AS keys
    FROM errors WHERE is_labelled AND is_current AND error_type <> 'correct'
),
standing AS (
    SELECT slice_id, sentence, list_transform(map_entries(slice), lambda entry: entry.key || '=' || entry.value) AS keys
    FROM error_slices WHERE is_systematic AND folded_into IS NULL
)
SELECT slice_id, file, wrong.camera_id, wrong.captured_at, true_id, predicted_id, probability, final_id, is_masked,
    is_recovered, cause, cause_evidence, labelled_by, wrong.media_id, target_id
FROM standing JOIN wrong ON list_has_all(list_filter(wrong.keys, lambda key: key IS NOT NULL), standing.keys)
LEFT JOIN (SELECT batch_key, media_id, file FROM media) USING (batch_key, media_id)
ORDER BY slice_id, file, target_id

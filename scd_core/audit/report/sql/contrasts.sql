-- contrasts: what the pictures of pairs need: names, medium, box, and the maps of one name against the other and the reverse.
WITH wanted AS (
    SELECT unnest($batches::VARCHAR[]) AS batch_key, unnest($targets::VARCHAR[]) AS target_id, unnest($given::VARCHAR[]) AS given,
        unnest($rival::VARCHAR[]) AS rival
),
shown AS (SELECT * FROM predictions WHERE media_id IN (SELECT unnest($media))),
persons AS (
    SELECT media_id, flatten(list(hidden_boxes)) AS hidden_boxes FROM shown WHERE len(hidden_boxes) > 0 GROUP BY media_id
),
maps AS (
    SELECT batch_key, target_id, predicted_id, contrast_id, mask_png, ssr_probability, sdr_probability FROM masks
    WHERE media_id IN (SELECT unnest($media)) AND mask_status = 'ok' AND contrast_id IS NOT NULL
)
SELECT batch_key, target_id, given, rival, shown.media_id, shown.detection_id, shown.probability, true_id,
    frames.uri, frames.file, frames.etag, frames.size_bytes, frames.version_id, frames.width, frames.height, frames.camera_id,
    frames.captured_at, shown.bbox_x_min, shown.bbox_y_min, shown.bbox_width, shown.bbox_height, shown.box_margin, persons.hidden_boxes,
    NULL::BLOB AS mask_png, for_given.mask_png AS given_png, for_given.sdr_probability AS without_given,
    for_rival.mask_png AS rival_png, for_rival.ssr_probability AS rival_alone,
    shown.frame_logits IS NOT NULL AS has_frame
FROM wanted
JOIN shown USING (batch_key, target_id)
JOIN (SELECT * FROM media WHERE media_id IN (SELECT unnest($media))) frames USING (batch_key, media_id)
JOIN (FROM maps) for_given ON for_given.batch_key = wanted.batch_key AND for_given.target_id = wanted.target_id
    AND for_given.predicted_id = given AND for_given.contrast_id = rival
JOIN (FROM maps) for_rival ON for_rival.batch_key = wanted.batch_key AND for_rival.target_id = wanted.target_id
    AND for_rival.predicted_id = rival AND for_rival.contrast_id = given
LEFT JOIN (SELECT batch_key, target_id, true_id FROM errors) truths USING (batch_key, target_id)
LEFT JOIN persons ON persons.media_id = shown.media_id
ORDER BY given, rival, true_id IS NULL, target_id

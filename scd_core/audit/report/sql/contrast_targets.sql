-- contrast_targets: current pictures with masks of a pair, the name given and the one it is mistaken for: wrong ones first, few of a pair.
WITH pairs AS (SELECT unnest($given::VARCHAR[]) AS given, unnest($rival::VARCHAR[]) AS rival),
of_pairs AS (
    SELECT batch_key, target_id, media_id, given, rival FROM masks JOIN pairs ON predicted_id = given AND contrast_id = rival
    ANTI JOIN superseded USING (batch_key, media_id)
    WHERE mask_status = 'ok'
),
-- The mask of the name alone is that of the name given: a pair may be known the other way round as well.
called AS (
    SELECT of_pairs.* FROM of_pairs SEMI JOIN masks ON contrast_id IS NULL AND predicted_id = given
        AND masks.batch_key = of_pairs.batch_key AND masks.target_id = of_pairs.target_id
)
SELECT batch_key, called.target_id, called.media_id, given, rival FROM called
LEFT JOIN (SELECT batch_key, target_id, true_id, content_number FROM errors) truths USING (batch_key, target_id)
WHERE true_id IS NULL OR true_id = rival
QUALIFY row_number() OVER (
    PARTITION BY given, rival ORDER BY true_id IS NULL, md5(drawn_by(content_number, called.target_id)), called.target_id
) <= $limit
ORDER BY given, rival, true_id IS NULL, target_id

-- single_errors: wrong names beside those shown, one per event: corrected ones first, then masked, then sure ones.
SELECT media_id FROM errors
WHERE is_current AND is_labelled AND error_type <> 'correct' AND media_id NOT IN (SELECT unnest($shown))
QUALIFY row_number() OVER (
    PARTITION BY coalesce(event_id, target_id)
    ORDER BY is_recovered DESC, is_masked DESC, probability DESC NULLS LAST, target_id
) = 1
ORDER BY is_recovered DESC, is_masked DESC, probability DESC NULLS LAST, target_id LIMIT $limit

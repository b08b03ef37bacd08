-- suspected: unlabelled events in doubt, one row each: most reasons first, then the surest name.
SELECT *, count(*) OVER () AS n_events FROM (
    SELECT * FROM errors WHERE is_current AND is_suspected
    QUALIFY row_number() OVER (
        PARTITION BY coalesce(event_id, target_id)
        ORDER BY len(suspicion_reasons) DESC, is_masked DESC, probability DESC, drawn_by(content_number, target_id), target_id
    ) = 1
)
ORDER BY len(suspicion_reasons) DESC, is_masked DESC, probability DESC, drawn_by(content_number, target_id), target_id LIMIT $limit

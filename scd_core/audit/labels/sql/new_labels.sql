-- new_labels: incoming labels that repeat none in the audit; without a time of its own, one repeats only the label that counts.
WITH named AS (
    -- An exported label that was given another name since has the id of the one it was; it gets its own.
    SELECT incoming.* REPLACE (CASE WHEN EXISTS (
            FROM label_matches WHERE label_matches.label_id = incoming.label_id
                AND (label_matches.individual_id, label_matches.state) IS DISTINCT FROM (incoming.individual_id, incoming.state)
        ) THEN left(sha256(label_id || ' ' || coalesce(individual_id, state)), 16) ELSE label_id END AS label_id)
    FROM incoming
)
SELECT named.* FROM named WHERE NOT EXISTS (
    FROM label_matches WHERE label_matches.label_id = named.label_id AND status <> 'undone' AND CASE
        WHEN named.labelled_at = named.imported_at THEN is_newest
        -- An export has whole seconds.
        ELSE floor(epoch(label_matches.labelled_at)) = floor(epoch(named.labelled_at)) END
)

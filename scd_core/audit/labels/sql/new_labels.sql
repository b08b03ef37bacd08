-- new_labels: incoming labels that repeat none in the audit; without a time of its own, one repeats only the label that counts.
SELECT incoming.* FROM incoming WHERE NOT EXISTS (
    FROM label_matches WHERE label_matches.label_id = incoming.label_id AND status <> 'undone'
        AND (is_newest OR incoming.labelled_at <> incoming.imported_at)
)

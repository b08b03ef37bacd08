-- known_labels: every name that a label in the audit has, undone ones left out.
SELECT DISTINCT individual_id FROM label_matches WHERE individual_id IS NOT NULL AND status <> 'undone'

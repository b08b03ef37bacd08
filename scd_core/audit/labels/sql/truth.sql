-- truth: the newest label of each target; true_id is null where labels of one moment differ.
CREATE OR REPLACE TEMP TABLE truth AS
SELECT media_id, detection_id, any_value(flank) AS flank, any_value(labelled_by) AS labelled_by,
    CASE WHEN bool_or(status = 'conflicting') THEN NULL ELSE any_value(individual_id) END AS true_id
FROM label_matches WHERE status IN ('newest', 'conflicting') GROUP BY media_id, detection_id

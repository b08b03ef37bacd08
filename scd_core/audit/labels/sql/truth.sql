-- truth: the newest label of each target; true_id is null where labels of one moment differ, `blank` where there is no animal.
CREATE OR REPLACE TEMP TABLE truth AS
SELECT media_id, detection_id, any_value(flank) AS flank, any_value(labelled_by) AS labelled_by,
    CASE WHEN bool_or(status = 'conflicting') THEN NULL ELSE any_value(coalesce(individual_id, state)) END AS true_id
FROM label_matches WHERE status IN ('newest', 'conflicting') AND state <> 'unclear' GROUP BY media_id, detection_id

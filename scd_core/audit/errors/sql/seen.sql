-- seen: one row per labelled visit, truth, name, flank, labeller and place: what the signs of causes are counted in.
CREATE OR REPLACE TEMP TABLE seen AS
SELECT DISTINCT coalesce(visit_id, event_id, target_id) AS visit, true_id, predicted_id, is_wrong, flank, labelled_by,
    coalesce(camera_id, '') AS camera, coalesce(deployment_id, camera_id) AS place, is_infrared,
    has_flag AS has_reason
FROM scored WHERE right_id IS NOT NULL AND is_current

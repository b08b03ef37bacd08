-- improvements: Did a better model do what was expected of it?
-- Each camera, and all new places (camera_id null), of each run of `improve`; measured on labels given afterwards, of individuals that had
-- no label at that camera before; null until the new model has named them.
WITH named AS (
    SELECT model_digest, true_id, camera_id, known_at, coalesce(visit_id, event_id, target_id) AS visit, error_type = 'correct' AS is_right
    FROM errors WHERE is_labelled AND known_at IS NOT NULL
),
fresh AS (
    SELECT records.improvement_id, records.camera_id AS record_camera, visit, avg(is_right::INT) AS share
    FROM improvement_records records JOIN named ON named.model_digest = records.new_model_digest AND named.known_at > records.made_at
        AND (records.camera_id IS NULL OR records.camera_id = named.camera_id)
    WHERE NOT EXISTS (
        SELECT 1 FROM named before WHERE before.known_at <= records.made_at AND before.true_id = named.true_id
            AND before.camera_id IS NOT DISTINCT FROM named.camera_id
    )
    GROUP BY ALL
),
measured AS (
    SELECT improvement_id, record_camera, count(*) AS n_measured, avg(share) AS measured_rate FROM fresh GROUP BY ALL
)
SELECT records.*, coalesce(n_measured, 0) AS n_measured, measured_rate, measured_rate - model_rate AS measured_gain
FROM improvement_records records LEFT JOIN measured
    ON measured.improvement_id = records.improvement_id AND record_camera IS NOT DISTINCT FROM records.camera_id
ORDER BY records.improvement_id, records.camera_id NULLS FIRST

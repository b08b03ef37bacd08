-- placed: the media with the deployment that the package gives them.
CREATE OR REPLACE TEMP TABLE placed AS
WITH places AS (
    SELECT deployment_id, count(DISTINCT coalesce(camera_id, '')) AS n FROM newest_media GROUP BY deployment_id
)
-- A deployment is named as the audit names it, with its camera where several cameras use the same name.
SELECT newest_media.*, CASE
        WHEN newest_media.deployment_id IS NULL THEN coalesce(camera_id, 'unplaced')
        WHEN n > 1 THEN coalesce(camera_id || '/', '') || newest_media.deployment_id
        ELSE newest_media.deployment_id END AS place
FROM newest_media LEFT JOIN places ON newest_media.deployment_id IS NOT DISTINCT FROM places.deployment_id

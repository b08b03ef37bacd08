-- capture_pictures: media with the camera and the occasion that they belong to.
-- A camera that stood in several places is one detector for each deployment. occasion: 1 for the first $hours hours from $first_hour o'clock of the day of the first picture.
CREATE OR REPLACE TEMP TABLE capture_pictures AS
WITH moved AS (
    SELECT camera_id FROM newest_media WHERE camera_id IS NOT NULL AND latitude IS NOT NULL AND longitude IS NOT NULL
    GROUP BY camera_id HAVING count(DISTINCT (round(latitude, 5), round(longitude, 5))) > 1
),
named AS (
    SELECT media_id, event_id, captured_at, clock_doubt, latitude, longitude, CASE
        WHEN moved.camera_id IS NOT NULL THEN media.camera_id || '/' || coalesce(deployment_id, '')
        ELSE coalesce(media.camera_id, deployment_id) END AS place
    FROM newest_media AS media LEFT JOIN moved USING (camera_id)
),
started AS (
    SELECT date_trunc('day', min(captured_at) - to_hours($first_hour)) + to_hours($first_hour) AS start
    FROM named WHERE place IS NOT NULL
)
SELECT named.*, start, CASE WHEN place IS NOT NULL THEN
    (floor((epoch(captured_at) - epoch(start)) / ($hours * 3600.0)) + 1)::BIGINT END AS occasion
FROM named CROSS JOIN started

-- camtrap_deployments: rows of deployments.csv.
CREATE OR REPLACE TEMP VIEW camtrap_deployments AS
SELECT place AS "deploymentID", min(site_id) AS "locationID", min(site_id) AS "locationName",
    arg_min(latitude, (captured_at, media_id)) FILTER (latitude IS NOT NULL AND longitude IS NOT NULL) AS latitude,
    arg_min(longitude, (captured_at, media_id)) FILTER (latitude IS NOT NULL AND longitude IS NOT NULL) AS longitude,
    NULL AS "coordinateUncertainty",
    iso_time(min(captured_at), arg_min(coalesce(utc_offset_minutes, 0), captured_at)) AS "deploymentStart",
    iso_time(max(captured_at), arg_max(coalesce(utc_offset_minutes, 0), captured_at)) AS "deploymentEnd",
    NULL AS "setupBy", min(camera_id) AS "cameraID", NULL AS "cameraModel", NULL AS "cameraDelay",
    NULL AS "cameraHeight", NULL AS "cameraDepth", NULL AS "cameraTilt", NULL AS "cameraHeading",
    NULL AS "detectionDistance", bool_or(utc_offset_minutes IS NULL) AS "timestampIssues", NULL AS "baitUse",
    NULL AS "featureType", NULL AS habitat, NULL AS "deploymentGroups", NULL AS "deploymentTags",
    'start and end are those of the first and last picture in the audit' || CASE
        WHEN bool_or(utc_offset_minutes IS NULL) THEN '; the clock''s offset from UTC is unknown, Z is assumed'
        ELSE '' END AS "deploymentComments"
FROM placed WHERE captured_at IS NOT NULL GROUP BY place ORDER BY place

-- capture_detectors: one row per detector, with where it is and the occasions in which it is taken to have worked.
-- These lie between the first and the last picture of each time that it stood there.
WITH stays AS (
    SELECT place, coalesce(deployment_id, '') AS deployment, min(occasion) AS low, max(occasion) AS high
    FROM capture_pictures JOIN newest_media USING (media_id) WHERE occasion IS NOT NULL GROUP BY ALL
),
coordinates AS (
    SELECT place, avg(latitude) AS latitude, avg(longitude) AS longitude FROM capture_pictures
    WHERE place IS NOT NULL AND latitude IS NOT NULL AND longitude IS NOT NULL GROUP BY place
)
SELECT place, any_value(latitude) AS latitude, any_value(longitude) AS longitude,
    list((low, high) ORDER BY low) AS stays
FROM stays LEFT JOIN coordinates USING (place) GROUP BY place ORDER BY place

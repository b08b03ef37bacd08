-- quality_strata: cameras whose pictures in one light are always poor: their visits that err, and those of the other cameras.
WITH cameras AS (
    SELECT camera, is_infrared, count(DISTINCT visit) AS n, count(DISTINCT visit) FILTER (is_wrong) AS x FROM seen GROUP BY ALL
),
compared AS (
    SELECT *, (sum(x) OVER kind)::BIGINT - x AS x_others, (sum(n) OVER kind)::BIGINT - n AS n_others FROM cameras
    WINDOW kind AS (PARTITION BY is_infrared)
)
SELECT camera, compared.is_infrared, camera_quality, x, n, x_others, n_others
FROM compared JOIN poor_cameras ON coalesce(camera_id, '') = camera
    AND poor_cameras.is_infrared IS NOT DISTINCT FROM compared.is_infrared
WHERE camera <> '' AND x >= 3 AND n_others > 0

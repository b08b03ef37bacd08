-- label_matches: each label with its medium, whether it is the newest of its target, and its status.
CREATE OR REPLACE TEMP TABLE label_matches AS
WITH placed AS (
    SELECT labels.* EXCLUDE (media_id),
        coalesce(labels.media_id, CASE WHEN n_objects = 1 THEN label_media.media_id END) AS media_id,
        coalesce(n_objects, 0) AS n_objects,
        coalesce(labels.media_id, CASE WHEN n_objects = 1 THEN label_media.media_id END, labels.file) AS target
    FROM labels LEFT JOIN label_media ON labels.media_id IS NULL AND labels.file = label_media.file
),
ranked AS (
    SELECT *, rank() OVER (
        PARTITION BY target, detection_id ORDER BY labelled_at DESC, imported_at DESC
    ) = 1 AS is_newest
    FROM placed
),
conflicts AS (
    SELECT target, coalesce(detection_id, '') AS detection FROM ranked WHERE is_newest
    GROUP BY ALL HAVING count(DISTINCT individual_id) > 1
)
SELECT ranked.* EXCLUDE (target, n_objects),
    CASE WHEN media_id IS NULL AND n_objects > 1 THEN 'ambiguous' WHEN media_id IS NULL THEN 'waiting'
        WHEN NOT is_newest THEN 'superseded' WHEN conflicts.target IS NOT NULL THEN 'conflicting'
        ELSE 'newest' END AS status
FROM ranked LEFT JOIN conflicts
    ON ranked.target = conflicts.target AND coalesce(ranked.detection_id, '') = conflicts.detection

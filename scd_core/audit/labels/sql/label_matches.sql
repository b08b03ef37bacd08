-- label_matches: each label with its medium and its box there, whether it is the newest of its target, and its status.
CREATE OR REPLACE TEMP TABLE label_matches AS
WITH undone AS (SELECT DISTINCT undoes_import_id AS import_id FROM labels WHERE undoes_import_id IS NOT NULL),
placed AS (
    SELECT labels.* EXCLUDE (media_id, state, undoes_import_id), labels.rowid AS row,
        coalesce(labels.state, CASE WHEN individual_id = 'unknown' THEN 'unknown' ELSE 'named' END) AS state,
        coalesce(labels.media_id, CASE WHEN n_objects = 1 THEN label_media.media_id END) AS media_id,
        coalesce(n_objects, 0) AS n_objects, undone.import_id IS NOT NULL AS is_undone
    FROM (SELECT *, row_number() OVER () AS rowid FROM labels WHERE undoes_import_id IS NULL) labels
    LEFT JOIN label_media ON labels.media_id IS NULL AND labels.file = label_media.file
    LEFT JOIN undone ON labels.import_id = undone.import_id
),
-- The box that agrees most with the label's own, by intersection over union.
overlapping AS (
    SELECT row, label_boxes.detection_id,
        greatest(0, least(bbox_x_min + bbox_width, x + w) - greatest(bbox_x_min, x))
            * greatest(0, least(bbox_y_min + bbox_height, y + h) - greatest(bbox_y_min, y)) AS common,
        bbox_width * bbox_height + w * h AS both_areas
    FROM placed JOIN label_boxes USING (media_id)
),
nearest AS (
    SELECT row, arg_max(detection_id, common / (both_areas - common)) AS detection_id FROM overlapping
    WHERE common >= 0.5 * (both_areas - common) AND both_areas > common GROUP BY row
),
boxes AS (SELECT media_id, any_value(n_boxes) AS n_boxes, any_value(detection_id) AS one FROM label_boxes GROUP BY media_id),
boxed AS (
    SELECT placed.* EXCLUDE (detection_id),
        CASE WHEN state = 'blank' THEN NULL
            WHEN nearest.detection_id IS NOT NULL THEN nearest.detection_id
            -- A box that a person drew beside those of the detector is an animal of its own.
            WHEN placed.detection_id LIKE 'drawn-%' THEN placed.detection_id
            WHEN n_boxes = 1 AND (placed.detection_id IS NULL OR bbox_width IS NOT NULL) THEN one
            WHEN n_boxes > 1 AND bbox_width IS NOT NULL THEN NULL
            ELSE placed.detection_id END AS detection_id,
        coalesce(n_boxes > 1, false) AS has_several_boxes,
        coalesce(individual_id, state) AS name,
        coalesce(placed.media_id, file) AS target
    FROM placed LEFT JOIN nearest USING (row) LEFT JOIN boxes ON placed.media_id = boxes.media_id
),
-- Most targets have one label, which is the newest; only of the others is anything compared.
several AS (SELECT target FROM boxed WHERE NOT is_undone GROUP BY target HAVING count(*) > 1),
compared AS (FROM boxed SEMI JOIN several USING (target) WHERE NOT is_undone),
-- A picture is without an animal, or has some: whichever was said last.
turns AS (
    SELECT target, max((labelled_at, imported_at)) FILTER (state = 'blank') AS blank_at,
        max((labelled_at, imported_at)) FILTER (state <> 'blank') AS animal_at
    FROM compared GROUP BY target
),
ranked AS (
    SELECT compared.*, rank() OVER (
            PARTITION BY compared.target, detection_id ORDER BY labelled_at DESC, imported_at DESC
        ) = 1 AND coalesce((labelled_at, imported_at) >= CASE WHEN state = 'blank' THEN animal_at ELSE blank_at END, true)
        AS is_newest
    FROM compared LEFT JOIN turns USING (target)
),
contested AS (
    SELECT target, coalesce(detection_id, '') AS detection FROM ranked WHERE is_newest
    GROUP BY ALL HAVING min(name) <> max(name)
),
-- Several names of one import for a picture, none with a box, are several animals; other ones contradict each other.
rivals AS (
    SELECT target, coalesce(detection_id, '') AS detection,
        count(DISTINCT import_id) = 1 AND count(DISTINCT labelled_by) <= 1 AND bool_and(state <> 'blank')
            AND bool_and(label_source = 'camtrap-dp' OR (has_several_boxes AND detection_id IS NULL)) AS is_several
    FROM ranked SEMI JOIN contested ON ranked.target = contested.target AND coalesce(detection_id, '') = contested.detection
    WHERE is_newest GROUP BY ALL
),
judged AS (
    SELECT row, is_newest, rivals.target IS NOT NULL AS has_rivals, is_several
    FROM ranked LEFT JOIN rivals
        ON ranked.target = rivals.target AND coalesce(ranked.detection_id, '') = rivals.detection
),
known AS (
    SELECT boxed.*, NOT is_undone AND coalesce(judged.is_newest, true) AS is_newest,
        coalesce(has_rivals, false) AS has_rivals, is_several
    FROM boxed LEFT JOIN judged USING (row)
)
SELECT * EXCLUDE (target, n_objects, row, name, is_undone, has_several_boxes, has_rivals, is_several),
    media_id IS NOT NULL AND has_several_boxes AND detection_id IS NULL AND state <> 'blank' AS names_no_box,
    CASE WHEN is_undone THEN 'undone' WHEN media_id IS NULL AND n_objects > 1 THEN 'ambiguous'
        WHEN media_id IS NULL THEN 'waiting' WHEN NOT is_newest THEN 'superseded' WHEN is_several THEN 'several'
        WHEN has_rivals THEN 'conflicting' ELSE 'newest' END AS status
FROM known

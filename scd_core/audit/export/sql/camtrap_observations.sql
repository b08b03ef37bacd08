-- camtrap_observations: rows of observations.csv: machine classifications, and the human ones beside them.
CREATE OR REPLACE TEMP VIEW camtrap_observations AS
WITH timed AS (SELECT * FROM placed WHERE captured_at IS NOT NULL),
events AS (
    SELECT place, event_id,
        iso_time(min(captured_at), arg_min(coalesce(utc_offset_minutes, 0), captured_at)) AS event_start,
        iso_time(max(captured_at), arg_max(coalesce(utc_offset_minutes, 0), captured_at)) AS event_end
    FROM timed WHERE event_id IS NOT NULL GROUP BY place, event_id
),
frames AS (
    SELECT timed.media_id, timed.place, timed.event_id, captured_at,
        coalesce(event_start, iso_time(captured_at, utc_offset_minutes)) AS event_start,
        coalesce(event_end, iso_time(captured_at, utc_offset_minutes)) AS event_end
    FROM timed LEFT JOIN events USING (place, event_id)
),
machine AS (
    SELECT 'machine-' || target_id AS "observationID", media_id, CASE prediction_status
            WHEN 'ok' THEN 'animal' WHEN 'no_animal' THEN 'blank' ELSE 'unclassified' END AS "observationType",
        CASE WHEN prediction_status = 'ok' THEN 1 END AS "count",
        CASE WHEN prediction_status = 'ok' AND predicted_id <> 'unknown' THEN predicted_id END AS "individualID",
        bbox_x_min, bbox_y_min, bbox_width, bbox_height,
        'machine' AS "classificationMethod", 'trapaudit model ' || left(model_digest, 12) AS "classifiedBy",
        strftime(finished_at AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%SZ') AS "classificationTimestamp",
        CASE WHEN prediction_status = 'ok' THEN round(probability::DOUBLE, 6) END
            AS "classificationProbability",
        -- Tags are separated by pipes and split at the first colon, so a name must not bring its own pipe.
        nullif(concat_ws(' | ',
            CASE WHEN final_id <> predicted_id THEN 'finalIndividualID:' || replace(final_id, '|', '/') END,
            CASE WHEN final_id <> predicted_id THEN 'finalProbability:' || round(final_probability::DOUBLE, 4) END,
            'errorType:' || error_type, 'errorCause:' || cause,
            CASE WHEN len(suspicion_reasons) > 0 THEN 'suspicion:' || array_to_string(suspicion_reasons, ',') END
        ), '') AS "observationTags", failure_reason AS "observationComments"
    FROM newest_predictions
),
boxes AS (
    SELECT media_id, detection_id, bbox_x_min, bbox_y_min, bbox_width, bbox_height FROM newest_predictions
    WHERE detection_id IS NOT NULL
),
human AS (
    SELECT 'human-' || label_id AS "observationID", media_id,
        CASE WHEN state = 'blank' THEN 'blank' ELSE 'animal' END AS "observationType",
        CASE WHEN state <> 'blank' THEN 1 END AS "count",
        CASE WHEN individual_id <> 'unknown' THEN individual_id END AS "individualID",
        bbox_x_min, bbox_y_min, bbox_width, bbox_height,
        'human' AS "classificationMethod", labelled_by AS "classifiedBy",
        strftime(labelled_at AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%SZ') AS "classificationTimestamp",
        NULL::DOUBLE AS "classificationProbability",
        concat_ws(' | ', 'labelSource:' || label_source, CASE WHEN state <> 'named' THEN 'labelState:' || state END,
            'flank:' || flank) AS "observationTags",
        CASE WHEN status = 'conflicting' THEN 'conflicts with another label of the same moment' END
            AS "observationComments"
    FROM (
        SELECT label_matches.* EXCLUDE (bbox_x_min, bbox_y_min, bbox_width, bbox_height),
            CASE WHEN boxes.bbox_width IS NOT NULL THEN boxes.bbox_x_min ELSE label_matches.bbox_x_min END AS bbox_x_min,
            CASE WHEN boxes.bbox_width IS NOT NULL THEN boxes.bbox_y_min ELSE label_matches.bbox_y_min END AS bbox_y_min,
            coalesce(boxes.bbox_width, label_matches.bbox_width) AS bbox_width,
            CASE WHEN boxes.bbox_width IS NOT NULL THEN boxes.bbox_height ELSE label_matches.bbox_height END AS bbox_height
        FROM label_matches LEFT JOIN boxes USING (media_id, detection_id)
    )
    WHERE status IN ('newest', 'conflicting', 'several')
),
observations AS (
    SELECT *, coalesce(bbox_width >= 1e-6 AND bbox_height >= 1e-6 AND bbox_x_min IS NOT NULL AND bbox_y_min IS NOT NULL, false)
        AS is_boxed
    FROM (FROM machine UNION ALL BY NAME FROM human)
)
SELECT "observationID", place AS "deploymentID", media_id AS "mediaID", event_id AS "eventID",
    event_start AS "eventStart", event_end AS "eventEnd", 'media' AS "observationLevel", "observationType",
    "count", "individualID",
    CASE WHEN is_boxed THEN round(greatest(0, least(1, bbox_x_min::DOUBLE)), 6) END AS "bboxX",
    CASE WHEN is_boxed THEN round(greatest(0, least(1, bbox_y_min::DOUBLE)), 6) END AS "bboxY",
    CASE WHEN is_boxed THEN round(least(1, bbox_width::DOUBLE), 6) END AS "bboxWidth",
    CASE WHEN is_boxed THEN round(least(1, bbox_height::DOUBLE), 6) END AS "bboxHeight",
    "classificationMethod", "classifiedBy", "classificationTimestamp",
    "classificationProbability", "observationTags", "observationComments",
    NULL AS "cameraSetupType", NULL AS "scientificName", NULL AS "lifeStage", NULL AS sex, NULL AS behavior,
    NULL AS "individualPositionRadius", NULL AS "individualPositionAngle", NULL AS "individualSpeed"
FROM observations JOIN frames USING (media_id)
ORDER BY place, captured_at, media_id, "classificationMethod", "observationID"

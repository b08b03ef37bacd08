"""SQL that turns the audit's tables into those of Camtrap DP."""

from __future__ import annotations

__all__ = ["DEPLOYMENTS_SQL", "MEDIA_SQL", "OBSERVATIONS_SQL", "PLACED_SQL"]


def _timestamp(time: str, offset: str) -> str:
    """SQL of a local time with its offset from UTC, in ISO 8601; an unknown offset is written as Z."""
    return (
        f"strftime({time}, '%Y-%m-%dT%H:%M:%S') || CASE WHEN coalesce({offset}, 0) = 0 THEN 'Z' ELSE "
        f"printf('%s%02d:%02d', CASE WHEN {offset} < 0 THEN '-' ELSE '+' END, abs({offset}) // 60, abs({offset}) % 60) END"
    )


PLACED_SQL = """
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
"""
"""Makes the temporary table ``placed``: the media with the deployment that the package gives them."""

DEPLOYMENTS_SQL = f"""
    SELECT place AS "deploymentID", min(site_id) AS "locationID", min(site_id) AS "locationName",
        arg_min(latitude, (captured_at, media_id)) FILTER (latitude IS NOT NULL AND longitude IS NOT NULL) AS latitude,
        arg_min(longitude, (captured_at, media_id)) FILTER (latitude IS NOT NULL AND longitude IS NOT NULL) AS longitude,
        NULL AS "coordinateUncertainty",
        {_timestamp("min(captured_at)", "arg_min(coalesce(utc_offset_minutes, 0), captured_at)")} AS "deploymentStart",
        {_timestamp("max(captured_at)", "arg_max(coalesce(utc_offset_minutes, 0), captured_at)")} AS "deploymentEnd",
        NULL AS "setupBy", min(camera_id) AS "cameraID", NULL AS "cameraModel", NULL AS "cameraDelay",
        NULL AS "cameraHeight", NULL AS "cameraDepth", NULL AS "cameraTilt", NULL AS "cameraHeading",
        NULL AS "detectionDistance", bool_or(utc_offset_minutes IS NULL) AS "timestampIssues", NULL AS "baitUse",
        NULL AS "featureType", NULL AS habitat, NULL AS "deploymentGroups", NULL AS "deploymentTags",
        'start and end are those of the first and last picture in the audit' || CASE
            WHEN bool_or(utc_offset_minutes IS NULL) THEN '; the clock''s offset from UTC is unknown, Z is assumed'
            ELSE '' END AS "deploymentComments"
    FROM placed WHERE captured_at IS NOT NULL GROUP BY place ORDER BY place
"""
"""Rows of deployments.csv."""

MEDIA_SQL = f"""
    SELECT media_id AS "mediaID", place AS "deploymentID", NULL AS "captureMethod",
        {_timestamp("captured_at", "utc_offset_minutes")} AS "timestamp",
        -- Two dots in a row are not allowed in a path; in an address they may be spelt out.
        replace(uri, '..', '%2E%2E') AS "filePath", starts_with(uri, 'http') AS "filePublic",
        parse_filename(file) AS "fileName", CASE
            WHEN "format" IN ('JPEG', 'MPO') THEN 'image/jpeg'
            WHEN "format" IN ('PNG', 'TIFF', 'WEBP', 'BMP', 'GIF') THEN 'image/' || lower("format")
            WHEN regexp_matches(file, '\\.jpe?g$', 'i') THEN 'image/jpeg'
            WHEN regexp_matches(file, '\\.(png|tiff?|webp|bmp|gif|heic|dng)$', 'i')
                THEN 'image/' || lower(regexp_extract(file, '[^.]+$'))
            WHEN regexp_matches(file, '\\.(mp4|mov|avi|mkv|mpe?g|3gp)$', 'i')
                THEN 'video/' || lower(regexp_extract(file, '[^.]+$'))
            ELSE 'image/x-unknown' END AS "fileMediatype",
        NULL AS "exifData", NULL AS favorite,
        CASE WHEN status <> 'ok' THEN status || coalesce(': ' || failure_reason, '') END AS "mediaComments"
    FROM placed WHERE captured_at IS NOT NULL ORDER BY place, captured_at, file, media_id
"""
"""Rows of media.csv."""

# Tags are separated by pipes and split at the first colon, so a name must not bring its own pipe.
_TAGS = """concat_ws(' | ',
            CASE WHEN final_id <> predicted_id THEN 'finalIndividualID:' || replace(final_id, '|', '/') END,
            CASE WHEN final_id <> predicted_id THEN 'finalProbability:' || round(final_probability::DOUBLE, 4) END,
            'errorType:' || error_type, 'errorCause:' || cause,
            CASE WHEN len(suspicion_reasons) > 0 THEN 'suspicion:' || array_to_string(suspicion_reasons, ',') END
        )"""

_BOX = """CASE WHEN is_boxed THEN round(greatest(0, least(1, bbox_x_min::DOUBLE)), 6) END AS "bboxX",
        CASE WHEN is_boxed THEN round(greatest(0, least(1, bbox_y_min::DOUBLE)), 6) END AS "bboxY",
        CASE WHEN is_boxed THEN round(least(1, bbox_width::DOUBLE), 6) END AS "bboxWidth",
        CASE WHEN is_boxed THEN round(least(1, bbox_height::DOUBLE), 6) END AS "bboxHeight\""""

_HAS_BOX = "bbox_width >= 1e-6 AND bbox_height >= 1e-6 AND bbox_x_min IS NOT NULL AND bbox_y_min IS NOT NULL"

_UNSEEN = """NULL AS "cameraSetupType", NULL AS "scientificName", NULL AS "lifeStage", NULL AS sex, NULL AS behavior,
        NULL AS "individualPositionRadius", NULL AS "individualPositionAngle", NULL AS "individualSpeed\""""

OBSERVATIONS_SQL = f"""
    WITH timed AS (SELECT * FROM placed WHERE captured_at IS NOT NULL),
    events AS (
        SELECT place, event_id,
            {_timestamp("min(captured_at)", "arg_min(coalesce(utc_offset_minutes, 0), captured_at)")} AS event_start,
            {_timestamp("max(captured_at)", "arg_max(coalesce(utc_offset_minutes, 0), captured_at)")} AS event_end
        FROM timed WHERE event_id IS NOT NULL GROUP BY place, event_id
    ),
    frames AS (
        SELECT timed.media_id, timed.place, timed.event_id, captured_at,
            coalesce(event_start, {_timestamp("captured_at", "utc_offset_minutes")}) AS event_start,
            coalesce(event_end, {_timestamp("captured_at", "utc_offset_minutes")}) AS event_end
        FROM timed LEFT JOIN events USING (place, event_id)
    ),
    machine AS (
        SELECT 'machine-' || target_id AS "observationID", media_id, CASE prediction_status
                WHEN 'ok' THEN 'animal' WHEN 'no_animal' THEN 'blank' ELSE 'unclassified' END AS "observationType",
            CASE WHEN prediction_status = 'ok' THEN 1 END AS "count",
            CASE WHEN prediction_status = 'ok' AND predicted_id <> 'unknown' THEN predicted_id END AS "individualID",
            bbox_x_min, bbox_y_min, bbox_width, bbox_height, coalesce({_HAS_BOX}, false) AS is_boxed,
            'machine' AS "classificationMethod", 'trapaudit model ' || left(model_digest, 12) AS "classifiedBy",
            strftime(finished_at AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%SZ') AS "classificationTimestamp",
            CASE WHEN prediction_status = 'ok' THEN round(probability::DOUBLE, 6) END
                AS "classificationProbability",
            nullif({_TAGS}, '') AS "observationTags", failure_reason AS "observationComments"
        FROM newest_predictions
    ),
    boxes AS (
        SELECT media_id, detection_id, bbox_x_min, bbox_y_min, bbox_width, bbox_height FROM newest_predictions
        WHERE detection_id IS NOT NULL
    ),
    human AS (
        SELECT 'human-' || import_id || '-' || label_id AS "observationID", media_id, 'animal' AS "observationType",
            1 AS "count", CASE WHEN individual_id <> 'unknown' THEN individual_id END AS "individualID",
            bbox_x_min, bbox_y_min, bbox_width, bbox_height, coalesce({_HAS_BOX}, false) AS is_boxed,
            'human' AS "classificationMethod", labelled_by AS "classifiedBy",
            strftime(labelled_at AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%SZ') AS "classificationTimestamp",
            NULL::DOUBLE AS "classificationProbability", 'labelSource:' || label_source AS "observationTags",
            CASE WHEN status = 'conflicting' THEN 'conflicts with another label of the same moment' END
                AS "observationComments"
        FROM label_matches LEFT JOIN boxes USING (media_id, detection_id)
        WHERE status IN ('newest', 'conflicting')
    )
    SELECT "observationID", place AS "deploymentID", media_id AS "mediaID", event_id AS "eventID",
        event_start AS "eventStart", event_end AS "eventEnd", 'media' AS "observationLevel", "observationType",
        "count", "individualID", {_BOX}, "classificationMethod", "classifiedBy", "classificationTimestamp",
        "classificationProbability", "observationTags", "observationComments", {_UNSEEN}
    FROM (FROM machine UNION ALL BY NAME FROM human) JOIN frames USING (media_id)
    ORDER BY place, captured_at, media_id, "classificationMethod", "observationID"
"""
"""Rows of observations.csv: machine classifications, and the human ones beside them."""

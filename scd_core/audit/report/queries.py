"""What the report asks the audit: aggregates and short, ordered lists, so that its size never follows the audit's."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import duckdb

from scd_core.audit.query.views import READY_VIEWS

__all__ = [
    "Row",
    "calibration_rows",
    "camera_rows",
    "confusion_rows",
    "count_effect",
    "example_rows",
    "first_row",
    "history_rows",
    "label_next_rows",
    "model_change",
    "model_rows",
    "new_batches",
    "quarantine_kinds",
    "quarantined_rows",
    "query",
    "single_errors",
    "slice_rows",
    "strategy_rows",
    "suspicion_kinds",
    "suspicion_rows",
    "type_rows",
]

Row = dict[str, Any]

_HARM = "n_errors * least(coalesce(lift, 100), 100)"
"""Events that went wrong, times how much more often than elsewhere; a baseline without error counts as a lift of 100."""


def query(connection: duckdb.DuckDBPyConnection, sql: str, parameters: dict[str, Any] | None = None) -> list[Row]:
    """Rows of a query as mappings."""
    answer = connection.execute(sql, parameters or {})
    names = [column[0] for column in answer.description or ()]
    return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]


def first_row(connection: duckdb.DuckDBPyConnection, sql: str, parameters: dict[str, Any] | None = None) -> Row:
    """The first row of a query; empty where there is none."""
    return next(iter(query(connection, sql, parameters)), {})


def model_rows(connection: duckdb.DuckDBPyConnection) -> list[Row]:
    """The models whose predictions the audit holds, newest first, with what each did."""
    return query(
        connection,
        """
        SELECT model_digest, count(*) AS n_batches, sum(n_media) AS n_media, sum(n_predictions) AS n_predictions,
            sum(n_masks) AS n_masks, sum(n_flips) AS n_flips, min(started_at) AS first_at, max(finished_at) AS last_at,
            list_sort(list_distinct(list(source))) AS sources
        FROM runs GROUP BY model_digest ORDER BY last_at DESC LIMIT 20
        """,
    )


def model_change(connection: duckdb.DuckDBPyConnection) -> Row:
    """The newest model against the one before, over labelled targets that both named; empty where there is one model."""
    return first_row(
        connection,
        f"""
        SELECT old_model, new_model, sum(n_targets)::BIGINT AS n_targets, sum(n_mended)::BIGINT AS n_mended,
            sum(n_spoilt)::BIGINT AS n_spoilt
        FROM ({READY_VIEWS["model_changes"]}) changes
        WHERE new_model = (SELECT arg_max(model_digest, finished_at) FROM runs) GROUP BY ALL
        """,
    )


def new_batches(connection: duckdb.DuckDBPyConnection, since: datetime | None) -> Row:
    """What was added by batches that finished after a moment; everything where there is none."""
    return first_row(
        connection,
        """
        SELECT count(*) AS n_batches, coalesce(sum(n_media), 0) AS n_media,
            coalesce(sum(n_quarantined), 0) AS n_quarantined, coalesce(sum(n_predictions), 0) AS n_predictions,
            coalesce(sum(n_masks), 0) AS n_masks
        FROM runs WHERE $since IS NULL OR finished_at > $since
        """,
        {"since": since},
    )


def slice_rows(connection: duckdb.DuckDBPyConnection) -> list[Row]:
    """Slices of the newest report by harm: systematic ones first, then the rest by how surprising they are."""
    return query(
        connection,
        f"""
        SELECT *, {_HARM} AS harm FROM error_slices
        ORDER BY is_systematic DESC, CASE WHEN is_systematic THEN {_HARM} END DESC, q_value, slice_id
        LIMIT 5000
        """,
    )


def history_rows(connection: duckdb.DuckDBPyConnection, slice_ids: list[str]) -> list[Row]:
    """Error rates of some slices in all reports, oldest first."""
    return query(
        connection,
        """
        SELECT slice_id, report_date, report_id, error_rate, n_errors, n_events FROM error_slices_history
        WHERE slice_id IN (SELECT unnest($slices)) AND error_rate IS NOT NULL ORDER BY report_date, report_id
        """,
        {"slices": slice_ids},
    )


def example_rows(connection: duckdb.DuckDBPyConnection, media_ids: list[str]) -> list[Row]:
    """Everything that a picture of an example needs: the verdict, the medium, the boxes, the mask; newest run only."""
    return query(
        connection,
        """
        WITH wanted AS (
            SELECT * FROM errors WHERE is_current AND media_id IN (SELECT unnest($media))
        ),
        frames AS (SELECT * FROM media WHERE media_id IN (SELECT unnest($media))),
        shown AS (SELECT * FROM predictions WHERE media_id IN (SELECT unnest($media))),
        -- Of all runs, so that one without detections shows nobody that another one hides.
        persons AS (
            SELECT media_id, flatten(list(hidden_boxes)) AS hidden_boxes FROM predictions
            WHERE media_id IN (SELECT unnest($media)) AND len(hidden_boxes) > 0 GROUP BY media_id
        ),
        maps AS (
            SELECT batch_key, target_id, any_value(mask_png) AS mask_png, any_value(ssr_probability) AS ssr_probability
            FROM masks WHERE media_id IN (SELECT unnest($media)) AND mask_status = 'ok' AND contrast_id IS NULL
            GROUP BY batch_key, target_id
        )
        SELECT wanted.batch_key, wanted.target_id, wanted.media_id, wanted.detection_id, wanted.true_id,
            wanted.predicted_id, wanted.probability, wanted.final_id, wanted.final_probability, wanted.error_type,
            wanted.is_recovered, wanted.is_broken, wanted.cause_evidence, wanted.suspicion_reasons, wanted.camera_id,
            wanted.captured_at, wanted.is_infrared, wanted.background_reliance,
            frames.uri, frames.file, frames.etag, frames.size_bytes, frames.version_id, frames.width, frames.height,
            shown.bbox_x_min, shown.bbox_y_min, shown.bbox_width, shown.bbox_height, persons.hidden_boxes,
            maps.mask_png, maps.ssr_probability
        FROM wanted
        JOIN frames USING (batch_key, media_id)
        JOIN shown USING (batch_key, target_id)
        LEFT JOIN persons ON persons.media_id = wanted.media_id
        LEFT JOIN maps USING (batch_key, target_id)
        """,
        {"media": media_ids},
    )


def strategy_rows(connection: duckdb.DuckDBPyConnection, target_ids: list[str]) -> list[Row]:
    """What each strategy made of some targets."""
    return query(
        connection,
        """
        SELECT batch_key, target_id, strategy, predicted_id, probability, crop_x_min, crop_y_min, crop_width, crop_height
        FROM reclassifications WHERE target_id IN (SELECT unnest($targets)) AND strategy_status = 'ok'
        """,
        {"targets": target_ids},
    )


def single_errors(connection: duckdb.DuckDBPyConnection, shown: list[str], limit: int) -> list[str]:
    """media_id of wrong names beside those shown, one per event: corrected ones first, then masked ones, then sure ones."""
    rows = query(
        connection,
        """
        SELECT media_id FROM errors
        WHERE is_current AND is_labelled AND error_type <> 'correct' AND media_id NOT IN (SELECT unnest($shown))
        QUALIFY row_number() OVER (
            PARTITION BY coalesce(event_id, target_id)
            ORDER BY is_recovered DESC, is_masked DESC, probability DESC NULLS LAST, target_id
        ) = 1
        ORDER BY is_recovered DESC, is_masked DESC, probability DESC NULLS LAST, target_id LIMIT $limit
        """,
        {"shown": shown, "limit": limit},
    )
    return [row["media_id"] for row in rows]


def type_rows(connection: duckdb.DuckDBPyConnection) -> list[Row]:
    """Labelled predictions by type of error, and what re-classification made of them."""
    return query(
        connection,
        """
        SELECT error_type, count(*) AS n, count(DISTINCT coalesce(event_id, target_id)) AS n_events,
            count(*) FILTER (is_masked) AS n_masked, count(*) FILTER (is_recovered) AS n_recovered,
            count(*) FILTER (is_broken) AS n_broken
        FROM errors WHERE is_current AND is_labelled GROUP BY error_type ORDER BY n DESC
        """,
    )


def count_effect(connection: duckdb.DuckDBPyConnection) -> Row:
    """What the labelled errors do to the count of individuals."""
    return first_row(connection, READY_VIEWS["count_effect"])


def camera_rows(connection: duckdb.DuckDBPyConnection) -> list[Row]:
    """Weighted error rates by camera and light, over labelled events."""
    return query(
        connection,
        """
        SELECT coalesce(camera_id, '') AS camera_id,
            CASE WHEN is_infrared THEN 'infrared' WHEN captured_at IS NULL THEN 'unknown'
                WHEN hour(captured_at) BETWEEN 6 AND 17 THEN 'day' ELSE 'night' END AS light,
            count(DISTINCT coalesce(event_id, target_id)) AS n_events,
            count(DISTINCT coalesce(event_id, target_id)) FILTER (error_type <> 'correct') AS n_errors,
            sum(event_weight) FILTER (error_type <> 'correct') AS wrong_weight, sum(event_weight) AS weight
        FROM errors WHERE is_current AND is_labelled GROUP BY ALL
        """,
    )


def confusion_rows(connection: duckdb.DuckDBPyConnection, limit: int) -> list[Row]:
    """The pairs of individuals that are confused most, in labelled events, each with the true individual's events."""
    return query(
        connection,
        """
        WITH pairs AS (
            SELECT true_id, coalesce(predicted_id, '') AS predicted_id,
                count(DISTINCT coalesce(event_id, target_id)) AS n_events,
                count(DISTINCT coalesce(event_id, target_id)) FILTER (is_recovered) AS n_recovered,
                any_value(error_type) AS error_type
            FROM errors WHERE is_current AND is_labelled AND error_type <> 'correct' GROUP BY ALL
        ),
        individuals AS (
            SELECT true_id, count(DISTINCT coalesce(event_id, target_id)) AS n_total
            FROM errors WHERE is_current AND is_labelled GROUP BY true_id
        )
        SELECT pairs.*, n_total, count(*) OVER () AS n_pairs FROM pairs JOIN individuals USING (true_id)
        ORDER BY n_events DESC, true_id, predicted_id LIMIT $limit
        """,
        {"limit": limit},
    )


def calibration_rows(connection: duckdb.DuckDBPyConnection) -> list[Row]:
    """Labelled predictions in ten bins of probability: mean probability, weighted share right, effective events."""
    return query(
        connection,
        """
        WITH placed AS (
            SELECT least(9, floor(10 * probability))::INT AS bin, probability, event_weight,
                coalesce(event_id, target_id) AS event, error_type = 'correct' AS is_right
            FROM errors WHERE is_current AND is_labelled AND probability IS NOT NULL AND predicted_id IS NOT NULL
        ),
        by_event AS (
            SELECT bin, event, count(*) AS n, sum(event_weight) AS weight, sum(event_weight * probability) AS given,
                sum(event_weight * is_right::INT) AS hit
            FROM placed GROUP BY bin, event
        )
        SELECT bin, sum(n)::BIGINT AS n, sum(weight) AS weight, sum(given) / sum(weight) AS probability,
            sum(hit) / sum(weight) AS accuracy, sum(weight) ** 2 / sum(weight ** 2) AS n_effective
        FROM by_event GROUP BY bin HAVING sum(weight) > 0 ORDER BY bin
        """,
    )


def suspicion_kinds(connection: duckdb.DuckDBPyConnection) -> list[Row]:
    """Reasons to doubt unlabelled names, with their counts."""
    return query(
        connection,
        """
        SELECT reason, count(*) AS n, count(DISTINCT event) AS n_events FROM (
            SELECT unnest(suspicion_reasons) AS reason, coalesce(event_id, target_id) AS event
            FROM errors WHERE is_current AND is_suspected
        ) GROUP BY reason ORDER BY n DESC, reason
        """,
    )


def suspicion_rows(connection: duckdb.DuckDBPyConnection, limit: int) -> list[Row]:
    """Unlabelled events in doubt, one row each: most reasons first, then the surest name (a confident error hides best)."""
    return query(
        connection,
        """
        SELECT errors.*, media.file, media.uri FROM (
            SELECT *, count(*) OVER () AS n_events FROM (
                SELECT * FROM errors WHERE is_current AND is_suspected
                QUALIFY row_number() OVER (
                    PARTITION BY coalesce(event_id, target_id)
                    ORDER BY len(suspicion_reasons) DESC, is_masked DESC, probability DESC, target_id
                ) = 1
            )
            ORDER BY len(suspicion_reasons) DESC, is_masked DESC, probability DESC, target_id LIMIT $limit
        ) errors
        LEFT JOIN (SELECT batch_key, media_id, file, uri FROM media) media USING (batch_key, media_id)
        ORDER BY len(suspicion_reasons) DESC, is_masked DESC, probability DESC, target_id
        """,
        {"limit": limit},
    )


def label_next_rows(connection: duckdb.DuckDBPyConnection, limit: int) -> list[Row]:
    """What a person should name next: one picture per unlabelled event, each with the reason.

    First the random control sample, without which no rate is honest; then names that are in doubt for the most reasons;
    then the names that the model was least sure of.
    """
    return query(
        connection,
        """
        WITH labelled AS (SELECT DISTINCT coalesce(event_id, target_id) AS event FROM errors WHERE is_labelled),
        doubts AS (
            SELECT batch_key, target_id, suspicion_reasons FROM errors WHERE is_current AND is_suspected
        ),
        candidates AS (
            SELECT predictions.batch_key, predictions.target_id, media_id, predicted_id, probability, margin, is_control,
                coalesce(event_id, predictions.target_id) AS event, coalesce(suspicion_reasons, []) AS reasons, flag_reasons
            FROM predictions LEFT JOIN doubts USING (batch_key, target_id)
            WHERE prediction_status = 'ok' AND (is_flagged OR doubts.target_id IS NOT NULL)
        ),
        one_each AS (
            SELECT * FROM candidates ANTI JOIN labelled USING (event)
            QUALIFY row_number() OVER (
                PARTITION BY event ORDER BY is_control DESC, len(reasons) DESC, margin, target_id
            ) = 1
        ),
        counted AS (SELECT *, count(*) OVER () AS n_waiting FROM one_each),
        ranked AS (
            SELECT *, row_number() OVER (PARTITION BY is_control ORDER BY len(reasons) DESC, margin, target_id) AS place
            FROM counted
        )
        SELECT ranked.*, media.file, media.uri, media.camera_id, media.captured_at FROM (
            -- Controls and doubts alternate, so that neither waits for the other to be finished.
            SELECT * FROM ranked ORDER BY place, is_control DESC, target_id LIMIT $limit
        ) ranked
        LEFT JOIN (SELECT batch_key, media_id, file, uri, camera_id, captured_at FROM media) media
            USING (batch_key, media_id)
        ORDER BY place, is_control DESC, target_id
        """,
        {"limit": limit},
    )


def quarantine_kinds(connection: duckdb.DuckDBPyConnection) -> list[Row]:
    """Why files could not be used, with their counts."""
    return query(
        connection,
        """
        SELECT status, failure_stage, count(DISTINCT media_id) AS n FROM media
        WHERE status NOT IN ('ok', 'duplicate') GROUP BY ALL ORDER BY n DESC, status
        """,
    )


def quarantined_rows(connection: duckdb.DuckDBPyConnection, limit: int) -> list[Row]:
    """Files that could not be used, with the reason."""
    return query(
        connection,
        """
        SELECT media_id, any_value(file) AS file, any_value(status) AS status, any_value(failure_stage) AS failure_stage,
            any_value(failure_reason) AS failure_reason, any_value(size_bytes) AS size_bytes
        FROM media WHERE status NOT IN ('ok', 'duplicate') GROUP BY media_id ORDER BY status, file LIMIT $limit
        """,
        {"limit": limit},
    )

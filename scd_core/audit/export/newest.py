"""What of an audit is exported: each medium and target once, as the newest run saw it, with the labels that count."""

from __future__ import annotations

import duckdb

from scd_core.audit.labels.truth import create_truth

__all__ = ["create_newest"]


def create_newest(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the temporary tables that exports are written from.

    ``newest_media`` and ``newest_predictions``: rows of the newest run over each medium; predictions carry
    ``final_id`` and ``final_probability`` (the fused decision, or the prediction where there is none), ``finished_at`` of
    their run, and ``error_type``, ``cause`` and ``suspicion_reasons`` of the newest report where it has the target.
    ``label_matches``: see :func:`scd_core.audit.labels.truth.create_truth`.

    Args:
        connection: database with the audit's tables (:func:`scd_core.audit.query.connection.open_tables`).
    """
    create_truth(connection)
    connection.execute("""
        CREATE OR REPLACE TEMP TABLE newest_batches AS
        WITH finished AS (SELECT batch_key, max(finished_at) AS finished_at FROM runs GROUP BY batch_key)
        SELECT media_id, arg_max(batch_key, (finished_at, batch_key)) AS batch_key, max(finished_at) AS finished_at
        FROM (SELECT DISTINCT batch_key, media_id FROM media) JOIN finished USING (batch_key) GROUP BY media_id
    """)
    connection.execute("""
        CREATE OR REPLACE TEMP TABLE newest_media AS
        SELECT media.* FROM media SEMI JOIN newest_batches USING (batch_key, media_id)
    """)
    connection.execute("""
        CREATE OR REPLACE TEMP TABLE newest_predictions AS
        WITH fused AS (
            SELECT batch_key, target_id, any_value(predicted_id) AS final_id, any_value(probability) AS final_probability
            FROM reclassifications WHERE strategy = 'fused' AND strategy_status = 'ok' GROUP BY batch_key, target_id
        ),
        verdicts AS (
            SELECT batch_key, target_id, any_value(error_type) AS error_type, any_value(cause) AS cause,
                any_value(suspicion_reasons) AS suspicion_reasons
            FROM errors WHERE is_current GROUP BY batch_key, target_id
        )
        SELECT predictions.*, finished_at, coalesce(final_id, predicted_id) AS final_id,
            coalesce(final_probability, probability) AS final_probability, error_type, cause, suspicion_reasons
        FROM predictions JOIN newest_batches USING (batch_key, media_id)
        LEFT JOIN fused USING (batch_key, target_id) LEFT JOIN verdicts USING (batch_key, target_id)
    """)

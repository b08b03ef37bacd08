"""Reasons to doubt a name that nobody has checked."""

from __future__ import annotations

import duckdb
import pyarrow as pa

from scd_core.audit.sql import load_sql
from scd_core.config import AuditConfig
from scd_core.names import SuspicionReason
from scd_core.triage.travel import impossible_moves

__all__ = ["SUSPICION_REASONS", "create_travellers"]

SUSPICION_REASONS: dict[str, str] = {
    SuspicionReason.EVENT_DISAGREEMENT: "the frames of the event together name another individual",
    SuspicionReason.IMPOSSIBLE_TRAVEL: "the same individual is named elsewhere at a time that it could not have travelled in",
    SuspicionReason.FLIP_UNDER_MASK: "the name changed under the mask",
    SuspicionReason.BACKGROUND_RELIANCE: "most of the evidence lies outside the animal",
    SuspicionReason.OVERLAY_RELIANCE: "part of the evidence lies on burned-in strips",
    SuspicionReason.HUMAN_FLAG: "a person flagged it",
    SuspicionReason.LABEL_CONFLICT: "labels of one moment name different individuals",
}
"""Reason -> what it means, in words."""


def create_travellers(connection: duckdb.DuckDBPyConnection, config: AuditConfig) -> None:
    """Make the temporary table ``travellers``: model_digest, predicted_id and event of stays that no animal can make.

    Args:
        connection: database with the table `stays`.
        config: speed limit (section ``triage``).
    """
    connection.execute(load_sql("scd_core.audit.errors", "journeys"))
    stays = connection.sql(
        "SELECT rowid AS stay, name, first_at, last_at, latitude, longitude FROM journeys ORDER BY event, model_digest"
    ).to_arrow_table()
    stay, name, first_at, last_at, latitude, longitude = (column.to_numpy() for column in stays.columns)
    is_impossible = impossible_moves(name, first_at, last_at, latitude, longitude, config.triage.max_speed_kmh)
    connection.register("found_stays", pa.table({"stay": stay[is_impossible]}))
    connection.execute(load_sql("scd_core.audit.errors", "travellers"))
    connection.unregister("found_stays")

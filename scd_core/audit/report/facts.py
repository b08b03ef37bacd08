"""What the page needs of all batches: made with a report's tables and kept, so that the page reads no picture's row for it."""

from __future__ import annotations

import hashlib

import duckdb

from scd_core.audit.errors.superseded import create_superseded
from scd_core.audit.labels.truth import create_truth
from scd_core.audit.sql import load_sql
from scd_core.audit.state.kept import KeptRows

__all__ = ["keep_facts", "load_facts", "need_facts"]

_STAGE = "page"
_FACTS = ("superseded", "batch_counts", "event_counts", "label_files", "label_targets")
_DRAW = ("lots", "near")
"""What the list of what to label next is drawn from faster than from all rows."""
_N_LABEL_FILES = 100
"""Files of labels that are described, the newest."""


def keep_facts(connection: duckdb.DuckDBPyConnection, kept: KeptRows, covers: str) -> None:
    """Keep for the page what a report's tables were derived with.

    Args:
        connection: the database that ``errors`` was derived in (:func:`scd_core.audit.errors.derive.derive_errors`).
        kept: where.
        covers: :func:`scd_core.audit.report.state.report_state` from before the tables were derived.

    Raises:
        RunError: OUT cannot be written.
    """
    _create_label_files(connection)
    kept.save_whole(connection, _STAGE, (*_FACTS, *_DRAW), _with_columns(covers))


def load_facts(connection: duckdb.DuckDBPyConnection, kept: KeptRows, covers: str) -> None:
    """Make the temporary tables that :func:`keep_facts` kept; without them, or where batches or labels came since, from all rows.

    Args:
        connection: database with the audit's tables (:func:`scd_core.audit.query.connection.open_tables`).
        kept: where.
        covers: :func:`scd_core.audit.report.state.report_state`.

    Raises:
        RunError: OUT cannot be listed.
    """
    if not kept.load_whole(connection, _STAGE, (*_FACTS, *_DRAW), _with_columns(covers)):
        need_facts(connection)


def need_facts(connection: duckdb.DuckDBPyConnection) -> None:
    """Make what is missing of these tables from all rows: `superseded`, `batch_counts`, `event_counts`, `label_files`,
    `label_targets`.

    Args:
        connection: database with the audit's tables, ``errors`` of the newest report among them.
    """
    found = connection.execute("SELECT table_name FROM duckdb_tables() WHERE temporary").fetchall()
    if {name for (name,) in found} >= {*_FACTS}:
        return
    create_truth(connection)
    _create_label_files(connection)
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE labelled_batches AS "
        "SELECT DISTINCT batch_key FROM errors WHERE is_labelled AND is_current"
    )
    create_superseded(connection)
    for name in ("primary_reason", "batch_counts", "event_counts"):
        connection.execute(load_sql("scd_core.audit.errors", name))


def _with_columns(covers: str) -> str:
    """What is covered, and the query of `label_targets`: what an older version kept may lack a column."""
    text = covers + load_sql("scd_core.audit.labels", "label_targets")
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _create_label_files(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(load_sql("scd_core.audit.report", "label_files"), {"limit": _N_LABEL_FILES})

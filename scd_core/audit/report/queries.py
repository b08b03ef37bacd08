"""The report's queries, one .sql file each in the folder `sql`: aggregates and short lists, so the page stays small."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypedDict

import duckdb

from scd_core.audit.query.batches import batches_shown
from scd_core.audit.query.views import READY_VIEWS
from scd_core.audit.sql import load_sql

__all__ = [
    "BinRow",
    "CameraRow",
    "PairRow",
    "RatedSlice",
    "Row",
    "create_views",
    "first_row",
    "query",
    "suspected_pictures",
    "unusable_files",
]

Row = Mapping[str, Any]
"""Column -> value, of a query whose rows only the template reads."""


class RatedSlice(TypedDict):
    """What the code reads of a row of `slices`: a slice of the newest report that has a rate."""

    slice_id: str
    slice: list[tuple[str, str]]
    error_rate: float
    ci_low: float
    ci_high: float
    baseline_rate: float | None
    is_systematic: bool
    folded_into: str | None
    trend: str | None
    e_value: float | None
    announced_at: datetime | None
    example_media_ids: list[str] | None


class CameraRow(TypedDict):
    """A row of `cameras`: one camera in one light."""

    camera_id: str
    light: str
    n_events: int
    n_errors: int
    wrong_weight: float | None
    weight: float | None
    squares: float | None
    n_unflagged: int


class PairRow(TypedDict):
    """A row of `confusions`: an individual and a wrong name it was given; "" is no name."""

    true_id: str
    predicted_id: str
    n_events: int
    n_recovered: int
    error_type: str
    relation: str | None
    n_total: int
    n_pairs: int


class BinRow(TypedDict):
    """A row of `calibration`: labelled predictions of similar probability."""

    n: int
    probability: float
    accuracy: float
    n_effective: float


def create_views(connection: duckdb.DuckDBPyConnection) -> None:
    """Create the ready views, and the macro, that the report's queries read."""
    connection.execute(load_sql("scd_core.audit.errors", "drawn_by"))
    for name in ("model_changes", "count_effect", "slice_pictures"):
        connection.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS {READY_VIEWS[name]}")


def query(connection: duckdb.DuckDBPyConnection, name: str, **parameters: Any) -> list[Any]:
    """Rows of the query ``sql/<name>.sql``, each a dictionary of its columns (see the file).

    Args:
        connection: database with the audit's tables (:func:`scd_core.audit.query.connection.open_tables`).
        name: name of the query.
        parameters: values of the query's `$` parameters.
    """
    answer = connection.execute(load_sql("scd_core.audit.report", name), parameters)
    columns = [column[0] for column in answer.description or ()]
    return [dict(zip(columns, row, strict=True)) for row in answer.fetchall()]


def first_row(connection: duckdb.DuckDBPyConnection, name: str, **parameters: Any) -> Row:
    """The first row of a query; empty where there is none."""
    return next(iter(query(connection, name, **parameters)), {})


def suspected_pictures(connection: duckdb.DuckDBPyConnection, limit: int) -> list[Row]:
    """Rows of the query ``suspected``, each with its `file` and `uri`; only the batches that they are of are opened.

    Args:
        connection: database with the audit's tables.
        limit: most rows.
    """
    rows = query(connection, "suspected", limit=limit)
    with batches_shown(connection, sorted({row["batch_key"] for row in rows})):
        found = query(connection, "media_files", media=[row["media_id"] for row in rows])
    files = {(row["batch_key"], row["media_id"]): row for row in found}
    unknown = {"file": None, "uri": None}
    return [{**row, **files.get((row["batch_key"], row["media_id"]), unknown)} for row in rows]


def unusable_files(connection: duckdb.DuckDBPyConnection, limit: int) -> tuple[list[Row], list[Row]]:
    """Why files could not be used, with their counts, and the files; only batches that may have one are opened.

    Args:
        connection: database after :func:`scd_core.audit.report.facts.need_facts`.
        limit: most files.
    """
    with batches_shown(connection, [row["batch_key"] for row in query(connection, "quarantine_batches")]):
        return query(connection, "quarantine_kinds"), query(connection, "quarantined", limit=limit)

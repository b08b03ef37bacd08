"""What to label next, drawn from strata, so that the labels of any first part of the list give honest rates."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
import pyarrow as pa

from scd_core.audit.query.batches import batches_shown
from scd_core.audit.sql import load_sql

__all__ = ["create_listed", "create_queue", "draw_queue", "listed_shown"]

_ROWS, _KEPT = "rows", "kept"
_LOTS = "given_seed, given_most"
_MACROS = {
    _ROWS: (
        ("queue_strata", "", "rows_strata"),
        ("rows_lots", _LOTS, "rows_lots"),
        ("rows_near", "", "rows_near"),
        ("queue_given", "", "rows_given"),
        ("queue_lots", _LOTS, "rows_current"),
        ("queue_near", "", "rows_near"),
    ),
    _KEPT: (
        ("queue_strata", "", "kept_strata"),
        ("rows_lots", _LOTS, "rows_lots"),
        ("rows_near", "", "rows_near"),
        ("queue_given", "", "rows_given"),
        ("queue_lots", _LOTS, "kept_lots"),
        ("queue_near", "", "kept_near"),
    ),
}
"""Table macros that the list is drawn from: name, parameters, query."""
_LOOKED_AT = 10
"""Pictures of each stratum that are looked at, for each place of the list; several are of one visit."""


def create_queue(connection: duckdb.DuckDBPyConnection, source: str = _ROWS) -> None:
    """Make the table macro ``label_queue(seed, minutes, most)``, whose rows ``sql/label_queue.sql`` describes.

    Args:
        connection: database with the audit's tables (:func:`scd_core.audit.query.connection.open_tables`).
        source: what it is drawn from: all rows, or what a report kept of them.
    """
    for name in ("primary_reason", "drawn_by", "draw_lot"):
        connection.execute(load_sql("scd_core.audit.errors", name))
    queue = ("label_queue", "given_seed, given_minutes, given_most", "label_queue")
    for name, parameters, query in (*_MACROS[source], queue):
        body = load_sql("scd_core.audit.queue", query)
        connection.execute(f"CREATE OR REPLACE MACRO {name}({parameters}) AS TABLE\n{body}")


def draw_queue(
    connection: duckdb.DuckDBPyConnection, limit: int, *, seed: int | None = None, visit_minutes: int | None = None
) -> pa.Table:
    """The first part of the list of what to label next: one picture of each visit in which nothing is labelled.

    Pictures are drawn by stratum (the first reason for which triage flagged the picture, or `unflagged`), inside a stratum
    at random. So the labelled share of each stratum is all that a rate needs, however far down the list somebody came.

    Args:
        connection: database with the audit's tables; `labels` decides what is labelled, and `errors`, where it is filled, how
            the flagged places are shared out among the reasons.
        limit: most pictures.
        seed: of the draw; None takes the one of the newest run (`triage.seed`). The same seed gives the same list until
            labels or batches are added, and what is labelled in between leaves the order of a stratum as it is.
        visit_minutes: most minutes between two events of one visit; None takes those of the newest run.

    Returns:
        Columns `place` (from 1), `batch_key`, `target_id`, `media_id`, `queue` (the stratum), `queue_probability` (the chance
        that a visit of this stratum stands among the first `place`, 0-1), the prediction with its box, and what is needed to
        show the picture, `hidden_boxes` of persons among it.
    """
    most, n_all = _LOOKED_AT * limit, None
    while True:
        create_listed(connection, limit, most, seed=seed, visit_minutes=visit_minutes)
        with listed_shown(connection):
            found = connection.sql(_sql("drawn")).to_arrow_table()
        if len(found) == limit:
            return found
        if n_all is None:
            ((n_all,),) = connection.execute("SELECT count(*) FROM predictions").fetchall()
        if most >= n_all:
            return found
        most *= _LOOKED_AT  # visits are long, or most of them are labelled


def create_listed(
    connection: duckdb.DuckDBPyConnection,
    limit: int,
    most: int,
    *,
    seed: int | None = None,
    visit_minutes: int | None = None,
) -> None:
    """Make the temporary table ``listed``: the first places of the list, as rows of the macro ``label_queue``.

    Where a report kept what is drawn first of each batch (:func:`scd_core.audit.report.facts.load_facts`), only batches are
    opened for which that is not enough. The rows are the same.

    Args:
        connection: as for :func:`draw_queue`.
        limit: most pictures.
        most: pictures of each stratum that are looked at.
        seed: as for :func:`draw_queue`.
        visit_minutes: as for :func:`draw_queue`.
    """
    values = {"seed": seed, "visit_minutes": visit_minutes, "limit": limit, "most": most}
    if seed is not None or not _has_kept(connection):
        create_queue(connection)
        connection.execute(_sql("listed"), values)
        return
    connection.execute("CREATE OR REPLACE TEMP TABLE deep (batch_key VARCHAR)")  # the macros name it
    with batches_shown(connection, []):  # so that making the macros opens no file
        create_queue(connection, _KEPT)
    connection.execute(_sql("deep"), {"most": most})
    if connection.execute("SELECT count(*) > 0 FROM queue_given()").fetchall()[0][0]:
        connection.execute(_sql("deep_labels"))
    with batches_shown(connection, _keys(connection, "FROM deep")):
        connection.execute(_sql("listed"), values)


@contextmanager
def listed_shown(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Show the batches of the pictures in ``listed`` only, those of all runs over them, where these are known.

    Args:
        connection: database after :func:`create_listed`.
    """
    if not _has_kept(connection):
        yield
        return
    with batches_shown(connection, _keys(connection, _sql("shown_batches"))):
        yield


def _keys(connection: duckdb.DuckDBPyConnection, query: str) -> list[str]:
    return [key for (key,) in connection.execute(query).fetchall()]


def _has_kept(connection: duckdb.DuckDBPyConnection) -> bool:
    names = connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()
    return {name for (name,) in names} >= {"lots", "near", "superseded", "batch_files"}


def _sql(name: str) -> str:
    return load_sql("scd_core.audit.queue", name)

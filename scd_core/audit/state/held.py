"""Tables of small files, one a run or an import: a report opens those only that no report before it knew."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from scd_core.audit.query.batches import knows_files
from scd_core.audit.query.tables import table_sql
from scd_core.audit.sql import load_sql
from scd_core.audit.state.kept import KeptRows

__all__ = ["hold_small", "small_held"]

_KEYS = {"runs": "batch_key", "labels": "import_id"}
"""Table -> its column with the key of the file that a row is in."""


def hold_small(
    connection: duckdb.DuckDBPyConnection, table: str, kept: KeptRows | None = None, columns: str = "*"
) -> None:
    """Read `runs` or `labels` once and not for each query, into a temporary table of its name.

    Args:
        connection: database with the audit's tables (:func:`scd_core.audit.query.connection.open_tables`).
        table: its name.
        kept: what earlier reports read: only files that are new are opened. None opens all.
        columns: columns that the queries read.

    Raises:
        RunError: OUT cannot be listed or written.
    """
    run = connection.execute
    if kept is None or not knows_files(connection):
        run(f"CREATE TEMP TABLE IF NOT EXISTS {table} AS SELECT {columns} FROM {table}")
        return
    stage, key = f"small_{table}", _KEYS[table]
    version = hashlib.sha256(f"{table_sql(table, [])}{duckdb.__version__}".encode()).hexdigest()
    run(load_sql("scd_core.audit.state", "digests_small"), {"name": table, "version": version})
    new = _load(connection, table, kept, columns)
    if new and columns != "*":  # what is kept for the next report has all columns
        new = _load(connection, table, kept)
    own = "" if key == "batch_key" else f"{key} AS batch_key, "
    run(f"CREATE TEMP TABLE IF NOT EXISTS all_{stage} AS SELECT {own}* FROM ({table_sql(table, [])})")
    if new:
        rows = table_sql(table, [file for file, _ in new], root=new[0][1])
        run(f"INSERT INTO all_{stage} BY NAME SELECT {own}* FROM ({rows})")
        ((n_odd,),) = run(f"SELECT count(*) FROM all_{stage} ANTI JOIN digests USING (batch_key)").fetchall()
        if not n_odd:  # a file with rows of another key is not kept, because it would not be found by its own
            kept.save(connection, stage, (stage,))
    chosen = columns if columns != "*" or not own else "* EXCLUDE (batch_key)"
    run(f"CREATE OR REPLACE TEMP TABLE {table} AS SELECT {chosen} FROM all_{stage}")
    run(f"DROP TABLE all_{stage}")


def _load(
    connection: duckdb.DuckDBPyConnection, table: str, kept: KeptRows, columns: str = "*"
) -> list[tuple[str, str]]:
    """Read what is kept of a table; the files that are not, each with its root."""
    stage = f"small_{table}"
    connection.execute(f"DROP TABLE IF EXISTS all_{stage}")
    kept.load(connection, stage, (stage,), columns)
    return connection.execute(load_sql("scd_core.audit.state", "new_small"), {"name": table}).fetchall()


@contextmanager
def small_held(
    connection: duckdb.DuckDBPyConnection, table: str, kept: KeptRows | None = None, columns: str = "*"
) -> Iterator[None]:
    """:func:`hold_small` for a while, because the table takes memory."""
    hold_small(connection, table, kept, columns)
    try:
        yield
    finally:
        connection.execute(f"DROP TABLE temp.{table}")

"""The tables of some batches alone: what a report derives, it derives from a few batches at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import duckdb
import pyarrow as pa

from scd_core.audit.query.tables import table_sql
from scd_core.tables.folder import file_key

__all__ = ["batches_shown", "create_batch_files", "knows_files", "show_all", "show_batches"]

_BIG = ("media", "predictions", "masks", "reclassifications")
"""Tables with rows of every picture."""
_SMALL = ("runs", "labels")
"""Tables of small files, one a run or an import."""


def create_batch_files(
    connection: duckdb.DuckDBPyConnection, files: dict[str, list[str]], root: str | None, fill: bool
) -> None:
    """Make the table ``batch_files``, from which :func:`show_batches` knows the files of each batch, and the like
    ``small_files`` of runs and imports.

    Args:
        connection: database that gets the table.
        files: table -> its files, each named after its batch.
        root: as for :func:`scd_core.audit.query.tables.table_sql`.
        fill: as for :func:`scd_core.audit.query.tables.table_sql`.
    """
    schema = pa.schema(
        [("batch_key", "string"), ("name", "string"), ("file", "string"), ("root", "string"), ("fill", "bool")]
    )
    for table, names in (("batch_files", _BIG), ("small_files", _SMALL)):
        rows = [
            {"batch_key": file_key(file), "name": name, "file": file, "root": root, "fill": fill}
            for name in names
            for file in files[name]
        ]
        connection.register("found_files", pa.Table.from_pylist(rows, schema=schema))
        connection.execute(f"CREATE TABLE {table} AS FROM found_files")
        connection.unregister("found_files")


def knows_files(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether a database knows in which files each batch is, so that some can be shown alone."""
    found = connection.execute("SELECT count(*) > 0 FROM duckdb_tables() WHERE table_name = 'batch_files'").fetchall()
    return bool(found[0][0])


def show_batches(connection: duckdb.DuckDBPyConnection, batch_keys: Sequence[str]) -> None:
    """Let the tables of pictures hold the rows of some batches only, until :func:`show_all`.

    Only the files of these batches are opened.

    Args:
        connection: database of :func:`scd_core.audit.query.connection.open_tables`.
        batch_keys: the batches.
    """
    found = connection.execute(
        "SELECT name, list(file ORDER BY file), any_value(root), any_value(fill) FROM batch_files "
        "WHERE batch_key IN (SELECT unnest($keys::VARCHAR[])) GROUP BY name",
        {"keys": list(batch_keys)},
    ).fetchall()
    files = {name: table_sql(name, names, root=root, fill=fill) for name, names, root, fill in found}
    for name in _BIG:
        connection.execute(f'CREATE OR REPLACE TEMP VIEW "{name}" AS {files.get(name) or table_sql(name, [])}')


def show_all(connection: duckdb.DuckDBPyConnection) -> None:
    """End what :func:`show_batches` began."""
    for name in _BIG:
        connection.execute(f'DROP VIEW IF EXISTS temp."{name}"')


@contextmanager
def batches_shown(connection: duckdb.DuckDBPyConnection, batch_keys: Sequence[str]) -> Iterator[None]:
    """:func:`show_batches` for a while; a database that does not know the files of its batches shows all.

    Args:
        connection: database with the audit's tables.
        batch_keys: the batches.
    """
    if knows_files(connection):
        show_batches(connection, batch_keys)
    try:
        yield
    finally:
        show_all(connection)

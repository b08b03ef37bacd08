"""Queries over the audit: a DuckDB connection over every table, pandas frames with push-down, and SQL that cannot write."""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from scd_core.audit.improvements import create_improvements, read_improvements
from scd_core.audit.query.batches import create_batch_files
from scd_core.audit.query.files import PROTOCOL, AuditFileSystem
from scd_core.audit.query.tables import TableFiles, newest_report, table_files, table_sql
from scd_core.audit.query.views import READY_VIEWS
from scd_core.audit.queue.draw import create_queue
from scd_core.errors import InputError
from scd_core.tables.schema import DERIVED, PARTITION, TABLES
from scd_core.tables.store import AuditStore, read_steadily

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["REPORT_MEMORY", "connect", "open_database", "open_tables", "read_table", "run_sql"]

_QUIET: dict[str, Any] = {
    # Extensions would be fetched from the network, and Python variables are no tables of the audit.
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "python_enable_replacements": False,
}
REPORT_MEMORY = "1GB"
"""Most memory that DuckDB takes for a report: with the rows that Python holds, a night of 20 million pictures takes 1.8 GB."""
_READING = {"SELECT", "EXPLAIN"}
_OPERATORS = {"=": "=", "==": "=", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}


def connect(out: str, *, memory_limit: str | None = None) -> duckdb.DuckDBPyConnection:
    """A DuckDB connection with every audit table and the ready views (``docs/queries.md``), for reading only.

    The connection sees the batches, imports and the newest report that were committed when it was made. DuckDB itself
    refuses whatever would write, leave OUT, load an extension or change a setting; ``CREATE TEMP TABLE`` works, in
    memory. Close it when done.

    Args:
        out: OUT, an fsspec URL or path.
        memory_limit: most memory DuckDB may take, for example ``"4GB"``; None is DuckDB's own default.

    Raises:
        InputError: OUT holds no audit, or one written by a newer version.
    """
    store = AuditStore(out)
    files = AuditFileSystem(store.storage.fs, store.storage.root)
    views = _base_views(table_files(store))
    scratch = tempfile.TemporaryDirectory(prefix="trapaudit-")
    catalogue = Path(scratch.name) / "audit.duckdb"
    # A catalogue that is opened read-only cannot be written by any statement, whatever its kind.
    with duckdb.connect(str(catalogue), config=_QUIET) as writer:
        writer.register_filesystem(files)
        for name, sql in views.items():
            writer.execute(f'CREATE VIEW "{name}" AS {sql}')
        create_queue(writer)
        create_improvements(writer, read_improvements(store))
        for name, sql in READY_VIEWS.items():
            writer.execute(f'CREATE VIEW "{name}" AS {sql}')
    # DuckDB lets SQL write below its folder for what does not fit into memory, so that folder is nobody else's.
    settings: dict[str, Any] = {"temp_directory": str(Path(scratch.name) / "spill")}
    settings |= {"memory_limit": memory_limit} if memory_limit else {}
    connection = duckdb.connect(str(catalogue), read_only=True, config=_QUIET | settings)
    weakref.finalize(connection, scratch.cleanup)
    connection.register_filesystem(files)
    connection.execute("SET enable_progress_bar = false")  # it would be printed among a query's rows
    connection.execute(f"SET allowed_directories = ['{PROTOCOL}://']")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def open_tables(
    out: str,
    *,
    memory_limit: str | None = None,
    threads: int | None = None,
    scratch: str | None = None,
    may_be_empty: bool = False,
    with_shadows: bool = False,
) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB database with the audit's tables as views, in which reports are derived; not for foreign SQL.

    Args:
        out: OUT.
        memory_limit: most memory, for example ``"2GB"``; what does not fit is spilled to `scratch`.
        threads: threads; None is one per core.
        scratch: folder for what does not fit into memory.
        may_be_empty: an OUT without an audit gives empty tables.
        with_shadows: batches of models that named beside the one in use as well.

    Raises:
        InputError: OUT holds no audit, or one written by a newer version.
    """
    store = AuditStore(out)
    settings: dict[str, Any] = {"preserve_insertion_order": False}
    settings |= {"memory_limit": memory_limit} if memory_limit else {}
    settings |= {"threads": threads} if threads else {}
    settings |= {"temp_directory": scratch} if scratch else {}
    connection = open_database(store, settings)
    found, root = table_files(store, may_be_empty, with_shadows), store.storage.local_root
    for name, sql in _base_views(found, root).items():
        connection.execute(f'CREATE VIEW "{name}" AS {sql}')
    create_batch_files(connection, found.files, root, found.has_old_schema)
    return connection


def open_database(store: AuditStore, settings: Mapping[str, Any] | None = None) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB database that can read the files of OUT, and has no table yet; not for foreign SQL.

    Args:
        store: OUT. Its files are read by their path where it has a ``local_root``, else as ``audit://``.
        settings: more settings of DuckDB.
    """
    connection = duckdb.connect(config=_QUIET | dict(settings or {}))
    connection.execute("SET enable_progress_bar = false")
    if store.storage.local_root is None:  # otherwise read by DuckDB itself, without Python between
        connection.register_filesystem(AuditFileSystem(store.storage.fs, store.storage.root))
    return connection


def read_table(
    out: str,
    table: str,
    columns: Sequence[str] | None = None,
    dates: tuple[date | str | None, date | str | None] | None = None,
    filters: Mapping[str, Any] | Sequence[tuple[str, str, Any]] | None = None,
) -> pd.DataFrame:
    """A table of the audit as a pandas frame; only the files, columns and row groups that are wanted are read.

    Args:
        out: OUT, an fsspec URL or path.
        table: name of the table; of ``errors`` and ``error_slices`` the newest report is given.
        columns: columns to read; None reads all.
        dates: first and last day (both included, None leaves the side open) of ``batch_date``, ``import_date`` or
            ``report_date``, as dates or ``YYYY-MM-DD``.
        filters: column -> value (a list of values means any of them, None means null), or triples
            ``(column, operator, value)`` with an operator among ``= != < <= > >= in``.

    Raises:
        InputError: there is no such table, column, operator or date, or OUT holds no audit.
    """
    if table not in TABLES:
        raise InputError(f"table {table}: there is none; the tables are {', '.join(TABLES)}")
    partition = PARTITION[table]
    known = {*TABLES[table], partition}
    for column in columns or ():
        if column not in known:
            raise InputError(f"table {table}: no column {column}; see docs/tables.md")
    where, values = _where(table, known, filters)
    store = AuditStore(out)
    selected = ", ".join(f'"{column}"' for column in columns) if columns else "*"

    def read() -> pd.DataFrame:
        found = table_files(store)
        files = _within(table, _newest(found)[table], dates)
        with duckdb.connect(config=_QUIET) as connection:
            connection.register_filesystem(AuditFileSystem(store.storage.fs, store.storage.root))
            source = table_sql(table, files, fill=_needs_fill(found, table))
            sql = f"SELECT {selected} FROM ({source}) {where}"
            return connection.execute(sql, values).df()

    return read_steadily(store, read)


def run_sql(out: str, query: str) -> duckdb.DuckDBPyRelation:
    """The answer to one reading statement over the audit's tables and views, already computed.

    Args:
        out: OUT.
        query: one SELECT, DESCRIBE, SUMMARIZE, SHOW or EXPLAIN statement of DuckDB's SQL.

    Raises:
        InputError: the statement is not SQL, is not one statement that reads, or needs what is not there or not
            allowed.
    """
    return read_steadily(AuditStore(out), lambda: _answer(out, query))


def _answer(out: str, query: str) -> duckdb.DuckDBPyRelation:
    connection = connect(out)
    try:
        statements = connection.extract_statements(query)
        if len(statements) != 1:
            raise InputError(f"sql: expected one statement, got {len(statements)}")
        kind = statements[0].type.name.removesuffix("_STATEMENT")
        if kind not in _READING:
            raise InputError(f"sql: {kind} is refused, the audit is read-only; use SELECT, DESCRIBE or EXPLAIN")
        return connection.from_arrow(connection.sql(query).to_arrow_table())
    except duckdb.Error as error:
        raise InputError(f"sql: {_reason(error)}") from error


def _base_views(found: TableFiles, root: str | None = None) -> dict[str, str]:
    """Every table, and ``error_slices_history`` with the slices of all reports, as SQL."""
    newest = _newest(found)
    views = {table: table_sql(table, newest[table], root=root, fill=_needs_fill(found, table)) for table in TABLES}
    return views | {"error_slices_history": table_sql("error_slices", found.files["error_slices"], root=root)}


def _newest(found: TableFiles) -> dict[str, list[str]]:
    """The files of each table, of the derived ones those of the newest report alone."""
    report = newest_report(found)
    newest = {table: [f"{table}/{report}"] if report else [] for table in DERIVED}
    return found.files | newest


def _needs_fill(found: TableFiles, table: str) -> bool:
    """Opening every file to compare columns costs a request each, so batches are filled only where they must be."""
    return found.has_old_schema or table == "labels" or table in DERIVED


def _reason(error: duckdb.Error) -> str:
    """DuckDB's message without the excerpt of the statement, or the last line of an error in our file system."""
    text = str(error).strip()
    return text.splitlines()[-1] if "Traceback" in text else text.split("\n\n")[0]


def _where(table: str, known: set[str], filters: Any) -> tuple[str, list[Any]]:
    if isinstance(filters, Mapping):
        filters = [(column, "in" if _is_list(value) else "=", value) for column, value in filters.items()]
    parts, values = [], []
    for column, operator, value in filters or ():
        if column not in known:
            raise InputError(f"table {table}: no column {column}; see docs/tables.md")
        if operator == "in":
            parts.append(f'"{column}" IN ({", ".join("?" for _ in value)})' if len(value) else "false")
            values += list(value)
        elif operator not in _OPERATORS:
            raise InputError(f"table {table}: no operator {operator}; use one of {' '.join(_OPERATORS)} in")
        elif value is None:
            parts.append(f'"{column}" IS {"NOT " if operator == "!=" else ""}NULL')
        else:
            parts.append(f'"{column}" {_OPERATORS[operator]} ?')
            values.append(value)
    return (f"WHERE {' AND '.join(parts)}" if parts else ""), values


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence | set | frozenset) and not isinstance(value, str | bytes)


def _within(table: str, files: list[str], dates: Any) -> list[str]:
    """The files whose partition lies between two days; the others are not opened."""
    if dates is None:
        return files
    try:
        first, last = (date.fromisoformat(str(day)) if day is not None else None for day in dates)
    except (TypeError, ValueError) as error:
        raise InputError(f"table {table}: dates {dates!r} are no pair of days such as 2026-03-01") from error
    kept = []
    for file in files:
        day = date.fromisoformat(file.split("/")[1].partition("=")[2])
        if (first is None or first <= day) and (last is None or day <= last):
            kept.append(file)
    return kept

"""Each audit table as SQL: which committed files it is made of, and the columns an older version of it lacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import PurePosixPath

import duckdb

from scd_core.audit.query.files import PROTOCOL
from scd_core.errors import InputError
from scd_core.tables.folder import file_key
from scd_core.tables.schema import DERIVED, PARTITION, SCHEMA_DIGEST, TABLES, empty_table
from scd_core.tables.store import AuditStore

__all__ = ["TableFiles", "newest_report", "report_time", "table_files", "table_sql"]


@dataclass(frozen=True)
class TableFiles:
    """The files that count, by table, as paths relative to OUT in their order; reports oldest first."""

    files: dict[str, list[str]]
    has_old_schema: bool  # a batch was written by a version with other columns


def table_files(store: AuditStore, may_be_empty: bool = False, with_shadows: bool = False) -> TableFiles:
    """The files of committed batches, of imports and of reports, in one pass over the commits.

    Args:
        store: OUT.
        may_be_empty: an OUT without an audit is no error.
        with_shadows: batches of models that named beside the one in use as well.

    Raises:
        InputError: OUT holds no audit, or one whose schema is newer than this software.
    """
    commits = {key: one for key, one in store.committed().items() if with_shadows or not one.get("is_shadow")}
    has_old_schema = any(content.get("schema_digest") != SCHEMA_DIGEST for content in commits.values())
    files = {table: store.committed_files(table, commits) for table in TABLES}
    if not may_be_empty and not any(files.values()):
        raise InputError(f"OUT {store.url}: holds no audit; write one with `trapaudit run`")
    return TableFiles(files, has_old_schema)


def newest_report(files: TableFiles) -> str | None:
    """File name of the newest report that wrote both derived tables whole; None before the first."""
    both = set.intersection(*({file.split("/", 1)[1] for file in files.files[table]} for table in DERIVED))
    return max(both, default=None)


def report_time(file: str) -> datetime:
    """When a report was made: its id begins with the time; one that does not is dated by its partition.

    Args:
        file: its file, ``.../report_date=YYYY-MM-DD/<report_id>.parquet``.

    >>> report_time("errors/report_date=2026-06-02/20260602T060000-250000ab12.parquet").isoformat()
    '2026-06-02T06:00:00.250000+00:00'
    >>> report_time("report_date=2026-06-02/20260602T060000-08023dcd.parquet").isoformat()
    '2026-06-02T06:00:00+00:00'
    """
    partition, name = PurePosixPath(file).parts[-2:]
    second, _, rest = file_key(name).partition("-")
    try:
        time = datetime.strptime(second, "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return datetime.fromisoformat(partition.partition("=")[2]).replace(tzinfo=UTC)
    has_microseconds = len(rest) == 10 and rest[:6].isdecimal()
    return time.replace(microsecond=int(rest[:6])) if has_microseconds else time


def table_sql(
    table: str,
    files: Sequence[str],
    *,
    root: str | None = None,
    fill: bool = True,
    columns: Sequence[str] | None = None,
) -> str:
    """A SELECT of the table's declared columns and its partition column from some of its files.

    Args:
        table: name of the table.
        files: paths relative to OUT; none gives the table without rows.
        root: folder of OUT on a local disk, which DuckDB then reads itself; None reads through ``audit://``.
        fill: the files may be of older schema versions; what they lack is null. Every file is opened to find out.
        columns: columns wanted, all of them in every file where `fill` is false; None for all.
    """
    empty = _empty_sql(table)
    if not files:
        return empty
    partition = PARTITION[table]
    prefix = f"{root}/" if root is not None else f"{PROTOCOL}://"
    listed = ", ".join(_quoted(prefix + file) for file in files)
    options = f"hive_partitioning = true, hive_types = {{'{partition}': DATE}}"
    selected = ", ".join(f'"{name}"' for name in columns or (*TABLES[table], partition))
    if not fill:
        return f"SELECT {selected} FROM read_parquet([{listed}], {options})"
    return (
        f"SELECT {selected} FROM ({empty} UNION ALL BY NAME "
        f"SELECT * FROM read_parquet([{listed}], {options}, union_by_name = true))"
    )


@cache
def _empty_sql(table: str) -> str:
    with duckdb.connect() as connection:
        connection.register("nothing", empty_table(table))
        described = connection.execute("DESCRIBE nothing").fetchall()
    columns = [f'NULL::{kind} AS "{name}"' for name, kind, *_ in described]
    return f"SELECT {', '.join(columns)}, NULL::DATE AS {PARTITION[table]} WHERE false"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"

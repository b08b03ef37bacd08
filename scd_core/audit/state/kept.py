"""Rows that a report took from batches, kept in OUT for the next report, which looks at the other batches only."""

from __future__ import annotations

import io
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from scd_core.audit.query.files import PROTOCOL
from scd_core.tables.store import AuditStore

__all__ = ["KeptRows"]

_FOLDER = "state"
_MOST_SOURCES = 8
"""Folders that the rows are spread over, at most; opening a file on S3 takes some requests."""
_OLD = timedelta(days=2)
"""Age from which rows that are no longer used are deleted; no report takes so long."""


class KeptRows:
    """The folder ``state`` of OUT: rows by batch, each batch with a digest of all that its rows were made from.

    A report makes a folder of its own with the rows of the batches that it looked at, and at last one list for each stage: batch,
    digest, and the folder that its rows are in. A report that dies leaves no list, two reports at once leave one each, and
    the newest is used. Where a file is missing or cannot be read, all batches are looked at. Nothing else reads the folder.

    Args:
        store: OUT.
        now: time of the report, by which the lists are ordered.
    """

    def __init__(self, store: AuditStore, now: datetime) -> None:
        self._store = store
        self._now = now.astimezone(UTC)
        self._name = f"{self._now:%Y%m%dT%H%M%S-%f}{secrets.token_hex(2)}"

    def load(self, connection: duckdb.DuckDBPyConnection, stage: str, parts: Sequence[str], columns: str = "*") -> int:
        """Make the table ``kept`` (batch_key, digest, source) and, where it has rows, ``all_<part>`` with those of its batches.

        Args:
            connection: database with the table `digests` (batch_key, digest), whose batches have rows that can be used only
                where the digest is the same.
            stage: name of the list.
            parts: names of the tables.
            columns: columns of the tables that are read.

        Returns:
            How many listed batches have no such digest any more.

        Raises:
            RunError: OUT cannot be listed.
        """
        connection.execute("CREATE OR REPLACE TEMP TABLE kept AS SELECT *, '' AS source FROM digests LIMIT 0")
        lists = [file for file in self._store.files(_FOLDER) if file.endswith(f"/{stage}.parquet")]
        if not lists:
            return 0
        try:
            listed = f"read_parquet('{self._path(lists[-1])}')"
            connection.execute(
                f"INSERT INTO kept SELECT batch_key, digest, source FROM {listed} "
                "JOIN digests USING (batch_key, digest)"
            )
            sources = [
                name for (name,) in connection.execute("SELECT DISTINCT source FROM kept ORDER BY ALL").fetchall()
            ]
            for part in parts if sources else ():
                rows = " UNION ALL ".join(
                    f"SELECT {columns} FROM read_parquet('{self._path(_file(source, stage, part))}') "
                    f"WHERE batch_key IN (SELECT batch_key FROM kept WHERE source = '{_quoted(source)}')"
                    for source in sources
                )
                connection.execute(f"CREATE OR REPLACE TEMP TABLE all_{part} AS {rows}")
            lost = f"SELECT count(*) FROM {listed} ANTI JOIN digests USING (batch_key, digest)"
            return int(connection.execute(lost).fetchall()[0][0])
        except (duckdb.Error, OSError):
            # Whatever is wrong with what was kept, it can be made anew.
            connection.execute("DELETE FROM kept")
            for part in parts:
                connection.execute(f"DROP TABLE IF EXISTS all_{part}")
            return 0

    def save(self, connection: duckdb.DuckDBPyConnection, stage: str, parts: Sequence[str]) -> None:
        """Keep the rows of the batches that are in ``digests`` and not in ``kept``.

        Args:
            connection: database with these tables and ``all_<part>`` with the rows of all batches.
            stage: name of the list.
            parts: names of the tables.

        Raises:
            RunError: OUT cannot be written.
        """
        connection.execute(
            "CREATE OR REPLACE TEMP TABLE fresh AS SELECT batch_key FROM digests ANTI JOIN kept USING (batch_key)"
        )
        sizes = connection.execute(
            "SELECT source, count(*) FROM kept GROUP BY source ORDER BY count(*) DESC"
        ).fetchall()
        ((n_fresh,),) = connection.execute("SELECT count(*) FROM fresh").fetchall()
        if not n_fresh:
            return
        if len(sizes) >= _MOST_SOURCES:
            n_all = n_fresh + sum(n for _, n in sizes)
            stays = sizes[0][0] if 2 * sizes[0][1] >= n_all else None
            connection.execute(
                "INSERT INTO fresh SELECT batch_key FROM kept WHERE source IS DISTINCT FROM $stays", {"stays": stays}
            )
            connection.execute("DELETE FROM kept WHERE source IS DISTINCT FROM $stays", {"stays": stays})
        for part in parts:
            self._write(
                connection, _file(self._name, stage, part), f"FROM all_{part} SEMI JOIN fresh USING (batch_key)"
            )
        # The list comes last: from here on the rows count.
        listed = f"FROM kept UNION ALL SELECT *, '{self._name}' FROM digests SEMI JOIN fresh USING (batch_key)"
        self._write(connection, f"{_FOLDER}/{self._name}/{stage}.parquet", listed)
        used = {self._name, *(name for (name,) in connection.execute("SELECT DISTINCT source FROM kept").fetchall())}
        self._sweep(stage, used)

    def load_whole(self, connection: duckdb.DuckDBPyConnection, stage: str, tables: Sequence[str], covers: str) -> bool:
        """Make tables that an earlier report kept whole, where it was made from the same; False where there are none.

        Args:
            connection: database that gets the temporary tables.
            stage: name of the list.
            tables: their names.
            covers: hash over all that they are made from.

        Raises:
            RunError: OUT cannot be listed.
        """
        lists = [file for file in self._store.files(_FOLDER) if file.endswith(f"/{stage}.parquet")]
        if not lists:
            return False
        try:
            found = connection.execute(f"SELECT covers FROM read_parquet('{self._path(lists[-1])}')").fetchall()
            if found != [(covers,)]:
                return False
            source = lists[-1].split("/")[-2]
            for table in tables:
                path = self._path(_file(source, stage, table))
                connection.execute(f"CREATE OR REPLACE TEMP TABLE {table} AS FROM read_parquet('{path}')")
        except (duckdb.Error, OSError):
            # Whatever is wrong with what was kept, it can be made anew.
            return False
        return True

    def save_whole(self, connection: duckdb.DuckDBPyConnection, stage: str, tables: Sequence[str], covers: str) -> None:
        """Keep tables whole for :meth:`load_whole`.

        Args:
            connection: database with the tables.
            stage: name of the list.
            tables: their names.
            covers: hash over all that they are made from.

        Raises:
            RunError: OUT cannot be written.
        """
        for table in tables:
            self._write(connection, _file(self._name, stage, table), f"FROM {table}")
        self._write(connection, f"{_FOLDER}/{self._name}/{stage}.parquet", f"SELECT '{_quoted(covers)}' AS covers")
        self._sweep(stage, {self._name})

    def _write(self, connection: duckdb.DuckDBPyConnection, file: str, rows: str) -> None:
        sink = io.BytesIO()
        reader = connection.sql(rows).to_arrow_reader(500_000)
        with pq.ParquetWriter(sink, reader.schema, compression="zstd") as writer:
            for batch in reader:
                writer.write_table(pa.Table.from_batches([batch]))
        self._store.create_file(file, sink.getvalue())

    def _sweep(self, stage: str, used: set[str]) -> None:
        """Delete the stage's old files that its newest list does not name."""
        before = f"{self._now - _OLD:%Y%m%dT%H%M%S}"
        for file in self._store.files(_FOLDER):
            name, own = file.split("/")[-2:]
            if own.startswith(stage) and name < before and name not in used:
                self._store.delete_file(file)

    def _path(self, file: str) -> str:
        root = self._store.storage.local_root
        path = f"{PROTOCOL}://{file}" if root is None else f"{root}/{file}"
        return _quoted(path)


def _quoted(text: str) -> str:
    """Text between the quotes of a statement."""
    return text.replace("'", "''")


def _file(source: str, stage: str, part: str) -> str:
    return f"{_FOLDER}/{source}/{stage}-{part}.parquet"

"""The audit's files in OUT: create-only tables, commits, resumable work, and what of it is committed."""

from __future__ import annotations

import hashlib
import io
import json
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from scd_core.errors import InputError, RunError, TrapauditError
from scd_core.storage import Storage, open_source
from scd_core.storage.entry import Entry
from scd_core.storage.threads import ordered_map
from scd_core.tables.schema import DERIVED, TABLES, table_from_rows, table_schema

__all__ = ["AuditStore"]

T = TypeVar("T")

_MARKER = "trapaudit.json"
_SHARD_MAGIC = b"trapaudit-shard-1\n"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.=-]{0,127}")
_READERS = 16
_COMMIT_FIELDS = ("model_digest", "config_digest", "batch_date", "files")


class AuditStore:
    """The folder OUT of an audit, on any fsspec file system.

    Nothing here is ever rewritten but the report, the marker file and unfinished work: tables and commits are created
    once, whole, by whoever comes first, and everyone else adopts them.

    Args:
        url: fsspec URL or local path of OUT.

    Raises:
        InputError: no file system can be made for the URL.
    """

    def __init__(self, url: str) -> None:
        self.storage: Storage = open_source(url)

    @property
    def url(self) -> str:
        """Address of OUT, without credentials."""
        return self.storage.url

    # the whole of OUT

    def check_writable(self) -> None:
        """Make sure that OUT takes files and keeps two writers apart, before any work is done.

        Raises:
            InputError: OUT cannot be written, or its server ignores create-only puts (If-None-Match).
            RunError: the storage did not answer.
        """
        marker = self.storage.path(_MARKER)
        note = json.dumps({"made_by": "trapaudit", "layout": 1}).encode()
        try:
            self.storage.put(marker, note)
            ignored = self.storage.create(marker, b"{}")
        except TrapauditError:
            raise
        except Exception as error:  # each file system has errors of its own
            raise InputError(f"OUT {self.url}: cannot be written ({self.storage.explain(error)})") from error
        if ignored:
            where, mend = "", "a server that honours create-only puts"
            if self.storage.has_versions():
                where, mend = " in a bucket with versions", "a bucket without versions"
            raise InputError(
                f"OUT {self.url}: the server ignores If-None-Match{where}, so two runs could overwrite each other; use {mend}"
            )
        self.storage.sweep_temporary()
        self._sweep_work()

    def is_begun(self) -> bool:
        """Whether some machine made OUT with :meth:`check_writable`.

        Raises:
            RunError: the storage did not answer.
        """
        return self._is_there(self.storage.path(_MARKER))

    def put_file(self, relative: str, data: bytes, overwrite: bool = True) -> bool:
        """Write a file such as the report, whole.

        Args:
            relative: path below OUT; its parts are plain names.
            data: content.
            overwrite: replace a file that is there; otherwise it is left.

        Returns:
            True where this call wrote it.

        Raises:
            ValueError: the path would lead outside OUT.
            RunError: it could not be written.
        """
        path = self._path(*relative.split("/"))
        if overwrite:
            self._write(lambda: self.storage.put(path, data), path)
            return True
        return self._write(lambda: self.storage.create(path, data), path)

    def get_file(self, relative: str) -> bytes | None:
        """Content of a file such as the report; None where there is none.

        Args:
            relative: path below OUT; its parts are plain names.

        Raises:
            ValueError: the path would lead outside OUT.
            RunError: it could not be read.
        """
        path = self._path(*relative.split("/"))
        try:
            return self._ask(lambda: self.storage.read(path), path)
        except FileNotFoundError:
            return None

    def entries(self, relative: str) -> Iterator[Entry]:
        """All files below a folder of OUT.

        Args:
            relative: path below OUT.

        Raises:
            RunError: the storage did not answer, or refused.
        """
        try:
            yield from self.storage.entries(relative)
        except OSError as error:
            raise RunError(f"{self.url}/{relative}: cannot be listed ({self.storage.explain(error)})") from error

    # batches

    def open_batch(self, batch_key: str, run_id: str) -> str:
        """Begin a batch, or join the run that began it.

        Args:
            batch_key: name of the batch.
            run_id: run that asks.

        Returns:
            The run_id that all rows of the batch carry: that of the run that came first, so a second run, or the one
            that finishes after a crash, writes the same rows.

        Raises:
            RunError: OUT could not be written.
        """
        path = self._path("open", f"{batch_key}.json")
        content = {"batch_key": batch_key, "run_id": run_id, "opened_at": datetime.now(UTC).isoformat()}
        if self._write(lambda: self.storage.create(path, _json(content)), path):
            return run_id
        return str(self._read_json(path)["run_id"])

    def is_committed(self, batch_key: str) -> bool:
        """Whether a batch is finished.

        Raises:
            RunError: the storage did not answer.
        """
        return self._is_there(self._path("commits", f"{batch_key}.json"))

    def commit_of(self, batch_key: str) -> dict[str, Any] | None:
        """The content of a batch's commit; None where it is not committed.

        Raises:
            RunError: the storage did not answer.
        """
        data = self.get_file(f"commits/{self._name(batch_key)}.json")
        return None if data is None else json.loads(data)

    def committed_keys(self) -> set[str]:
        """The batch_key of every commit."""
        names = (e.path.rsplit("/", 1)[-1] for e in self.entries("commits"))
        return {name.removesuffix(".json") for name in names if name.endswith(".json")}

    def committed(self) -> dict[str, dict[str, Any]]:
        """The content of every commit, by batch_key, in the order of the keys."""
        paths = sorted(e.path for e in self.entries("commits") if e.path.endswith(".json"))
        contents = ordered_map(paths, self._read_json, _READERS, ahead=4 * _READERS)
        return {path.rsplit("/", 1)[-1].removesuffix(".json"): content for path, content in zip(paths, contents)}

    def commit(self, batch_key: str, content: Mapping[str, Any]) -> bool:
        """Finish a batch; from here on its rows count.

        Args:
            batch_key: name of the batch.
            content: JSON content with at least ``model_digest``, ``config_digest``, ``batch_date`` (ISO) and ``files``
                (table -> path as :meth:`write_table` returned it).

        Returns:
            True where this call finished it; False where another run had, whose result then stands.

        Raises:
            ValueError: a field of the content is missing.
            RunError: a file it names is not there, or OUT could not be written.
        """
        if missing := [name for name in _COMMIT_FIELDS if name not in content]:
            raise ValueError(f"commit of {batch_key}: content lacks {', '.join(missing)}")
        for table, relative in content["files"].items():
            if not self._is_there(self._path(*relative.split("/"))):
                raise RunError(f"batch {batch_key}: {table} is not at {self.url}/{relative}; run again to write it")
        path = self._path("commits", f"{batch_key}.json")
        # The token makes this call's content unlike any other's, so that winning is never mistaken.
        data = _json({"batch_key": batch_key, **content, "commit_token": secrets.token_hex(8)})
        return self._write(lambda: self.storage.create(path, data), path)

    def committed_media(self, model_digest: str, config_digest: str) -> set[str]:
        """media_id of all media with a row in a committed batch of a model and a configuration."""
        return set(self.media_statuses(model_digest, config_digest))

    def media_statuses(self, model_digest: str, config_digest: str) -> dict[str, str]:
        """What is committed for a model and a configuration: media_id -> status.

        A medium that was ``missing`` in one batch and read in a later one has the later status.
        """
        files = [
            content["files"]["media"]
            for content in self.committed().values()
            if (content["model_digest"], content["config_digest"]) == (model_digest, config_digest)
            and "media" in content["files"]
        ]
        rows = self._read_files("media", files, ["media_id", "status"])
        done: dict[str, str] = {}
        for media_id, status in zip(rows["media_id"].to_pylist(), rows["status"].to_pylist()):
            if done.get(media_id, "missing") == "missing":
                done[media_id] = status
        return done

    # tables

    def write_table(
        self, table: str, rows: pa.Table | Sequence[Mapping[str, Any]], batch_date: date, batch_key: str
    ) -> str:
        """Write a batch's rows of one table, or adopt the file that another run has written.

        Returns:
            The file's path relative to OUT.

        Raises:
            ValueError: the rows do not fit the table's schema.
            RunError: it could not be written.
        """
        return self._create_table(table, rows, f"batch_date={batch_date.isoformat()}", batch_key)

    def write_snapshot(
        self, table: str, rows: pa.Table | Sequence[Mapping[str, Any]], report_date: date, report_id: str
    ) -> str:
        """Write a report's snapshot of a derived table; returns and raises as :meth:`write_table` does."""
        return self._create_table(table, rows, f"report_date={report_date.isoformat()}", report_id)

    def write_import(self, rows: pa.Table | Sequence[Mapping[str, Any]], import_date: date, import_id: str) -> str:
        """Write the labels of one import; returns and raises as :meth:`write_table` does."""
        return self._create_table("labels", rows, f"import_date={import_date.isoformat()}", import_id)

    def committed_files(self, table: str) -> list[str]:
        """Paths, relative to OUT, of the files of a table that count: of committed batches, of reports, of imports.

        Raises:
            KeyError: there is no such table.
        """
        TABLES[table]
        if table in DERIVED or table == "labels":
            start = len(self.storage.path(""))
            return sorted(e.path[start:] for e in self.entries(table) if e.path.endswith(".parquet"))
        return sorted(c["files"][table] for c in self.committed().values() if table in c["files"])

    def read(self, table: str, columns: Sequence[str] | None = None) -> pa.Table:
        """All rows of a table that count, files in the order of their paths.

        Args:
            table: name of the table.
            columns: columns wanted; None for all.

        Raises:
            KeyError: there is no such table.
            RunError: a file cannot be read.
        """
        return self._read_files(table, self.committed_files(table), columns)

    # unfinished work

    def save_shard(self, batch_key: str, stage: str, shard_key: str, rows: pa.Table) -> pa.Table:
        """Keep a shard's result until the batch is committed, or adopt the one that another run kept first.

        Two runs at once may see other things (an object that vanished between their readings, the last bits of another
        processor's arithmetic). All that follows is made from the result that was kept, so their rows fit together.

        Args:
            batch_key: name of the batch.
            stage: name of the stage.
            shard_key: hash over all that the result depends on.
            rows: the result.

        Returns:
            The result to go on with.

        Raises:
            ValueError: a name would lead outside OUT.
            RunError: it could not be written.
        """
        path = self._path("work", batch_key, stage, f"{shard_key}.shard")
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, rows.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
            writer.write_table(rows)
        body = sink.getvalue().to_pybytes()
        data = _SHARD_MAGIC + hashlib.sha256(body).digest() + body
        if self._write(lambda: self.storage.create(path, data), path):
            return rows
        kept = self.load_shard(batch_key, stage, shard_key)
        if kept is None:  # damaged, or removed since by the run that committed the batch
            self._write(lambda: self.storage.put(path, data), path)
        return rows if kept is None else kept

    def load_shard(self, batch_key: str, stage: str, shard_key: str) -> pa.Table | None:
        """A shard's result that an earlier run kept; None where there is none or it is damaged, so it is made anew.

        Raises:
            RunError: the storage did not answer.
        """
        path = self._path("work", batch_key, stage, f"{shard_key}.shard")
        try:
            data = self._ask(lambda: self.storage.read(path), path)
        except FileNotFoundError:
            return None
        start = len(_SHARD_MAGIC) + 32
        body = data[start:]
        if data[:start] != _SHARD_MAGIC + hashlib.sha256(body).digest():
            return None
        return pa.ipc.open_file(body).read_all()

    def drop_work(self, batch_key: str) -> None:
        """Remove the kept shards of a batch that is committed."""
        for entry in self.entries(f"work/{self._name(batch_key)}"):
            self._write(lambda path=entry.path: self.storage.delete(path), entry.path)  # type: ignore[misc]
        self.storage.remove_empty_folders(f"work/{batch_key}")

    # inside

    def _sweep_work(self) -> None:
        """Remove the work of batches whose run was killed between its commit and its tidying."""
        start = len(self.storage.path("work/"))
        kept = {entry.path[start:].split("/")[0] for entry in self.entries("work")}
        for batch_key in kept & self.committed_keys() if kept else ():
            self.drop_work(batch_key)

    def _create_table(self, table: str, rows: pa.Table | Sequence[Mapping[str, Any]], folder: str, key: str) -> str:
        content = rows if isinstance(rows, pa.Table) else table_from_rows(table, [dict(row) for row in rows])
        data = _parquet(table, content)
        relative = f"{table}/{folder}/{self._name(key)}.parquet"
        path = self._path(*relative.split("/"))
        self._write(lambda: self.storage.create(path, data), path)
        return relative

    def _read_files(self, table: str, files: Iterable[str], columns: Sequence[str] | None) -> pa.Table:
        schema = table_schema(table)
        if columns is not None:
            schema = pa.schema([schema.field(name) for name in columns])

        def read(relative: str) -> pa.Table:
            path = self._path(*relative.split("/"))
            try:
                found = pq.read_table(io.BytesIO(self.storage.read(path)), partitioning=None)
            except (OSError, pa.ArrowInvalid) as error:
                raise RunError(f"{self.url}/{relative}: cannot be read ({self.storage.explain(error)})") from error
            return _conform(found, schema)

        parts = list(ordered_map(files, read, _READERS, ahead=2 * _READERS))
        return pa.concat_tables(parts) if parts else schema.empty_table()

    def _read_json(self, path: str) -> dict[str, Any]:
        try:
            return json.loads(self.storage.read(path))
        except (OSError, ValueError) as error:
            raise RunError(f"{self.storage.uri_of(path)}: cannot be read ({self.storage.explain(error)})") from error

    def _is_there(self, path: str) -> bool:
        return self._ask(lambda: self.storage.exists(path), path)

    def _ask(self, call: Callable[[], T], path: str) -> T:
        """What the storage answers; a refusal that may be of the moment is an error of the run, in one line."""
        try:
            return call()
        except FileNotFoundError:
            raise
        except OSError as error:
            raise RunError(f"{self.storage.uri_of(path)}: cannot be read ({self.storage.explain(error)})") from error

    def _write(self, call: Callable[[], T], path: str) -> T:
        try:
            return call()
        except OSError as error:
            where = self.storage.uri_of(path)
            raise RunError(
                f"{where}: cannot be written ({self.storage.explain(error)}); nothing is half-written, run again"
            ) from error

    def _path(self, *names: str) -> str:
        return self.storage.path("/".join(self._name(name) for name in names))

    @staticmethod
    def _name(name: str) -> str:
        """A plain name, so that no key can lead outside OUT."""
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no plain file name; expected letters, digits and _ . = -")
        return name


def _json(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True, indent=1).encode()


def _parquet(table: str, rows: pa.Table) -> bytes:
    schema = table_schema(table)
    if rows.schema.names != schema.names or rows.schema.types != schema.types:
        found = {column.name: column.type for column in rows.schema}
        wrong = [
            f"{column.name}: {found.get(column.name, 'absent')}, expected {column.type}"
            for column in schema
            if found.get(column.name) != column.type
        ]
        wrong += [f"{name}: not a column" for name in found if name not in schema.names]
        raise ValueError(f"table {table}: rows do not fit the schema ({'; '.join(wrong) or 'columns out of order'})")
    sink = pa.BufferOutputStream()
    pq.write_table(rows.replace_schema_metadata(schema.metadata).cast(schema), sink, compression="zstd")
    return sink.getvalue().to_pybytes()


def _conform(found: pa.Table, schema: pa.Schema) -> pa.Table:
    """Give a file of an older schema the columns it lacks, as null."""
    columns = [
        found[field.name].cast(field.type) if field.name in found.schema.names else pa.nulls(len(found), field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)

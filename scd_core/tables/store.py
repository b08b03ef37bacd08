"""The audit's store in OUT: create-only tables, commits, and what of them counts."""

from __future__ import annotations

import io
import json
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from scd_core.errors import InputError, RunError, TrapauditError
from scd_core.storage.threads import ordered_map
from scd_core.tables.folder import READERS, OutFolder, file_key, plain_name
from scd_core.tables.generations import Generation, newest_generation
from scd_core.tables.schema import DERIVED, PARTITION, TABLES, check_schema_version, conform, table_schema
from scd_core.tables.shards import sweep_work

__all__ = ["AuditStore", "read_steadily"]

_MARKER = "trapaudit.json"
_READ_COMMITS: dict[tuple[str, str, str], dict[str, Any]] = {}
"""OUT, path and state of a commit -> its content; a run reads all commits several times, and there may be thousands."""

_TRIES = 10
"""Readings of what is replaced again and again."""
T = TypeVar("T")
_COMMIT_FIELDS = ("model_digest", "config_digest", "batch_date", "files")


class AuditStore(OutFolder):
    """The tables and commits of an audit.

    Nothing in OUT is ever rewritten but the report, the marker file and unfinished work: tables and commits are created
    once, whole, by whoever comes first, and everyone else adopts them. What is to go is replaced by a new generation
    (:mod:`scd_core.tables.generations`).
    """

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
        if self.files("work"):
            sweep_work(self, self.committed_keys())

    def is_begun(self) -> bool:
        """Whether some machine made OUT with :meth:`check_writable`; RunError where the storage did not answer."""
        return self.has_file(_MARKER)

    def check_begun(self) -> None:
        """Refuse what neither a run nor an import of labels has written to, such as an address with a typing error.

        Raises:
            InputError: it holds neither.
            RunError: the storage did not answer.
        """
        if not self.is_begun() and not self.files("commits") and not self.files("labels"):
            raise InputError(f"OUT {self.url}: holds no audit; write one with `trapaudit run`")

    # batches

    def open_batch(self, batch_key: str, run_id: str) -> str:
        """Begin a batch, or join the run that began it.

        Args:
            batch_key: name of the batch.
            run_id: run that works on it.

        Returns:
            The run_id that all rows of the batch carry: that of the run that came first, so a second run, or the one
            that finishes after a crash, writes the same rows.

        Raises:
            RunError: OUT could not be written.
        """
        relative = f"open/{plain_name(batch_key)}.json"
        content = {"batch_key": batch_key, "run_id": run_id, "opened_at": datetime.now(UTC).isoformat()}
        if self.create_file(relative, _json(content)):
            return run_id
        return str(self._read_json(relative)["run_id"])

    def commit_of(self, batch_key: str) -> dict[str, Any] | None:
        """The content of a batch's commit; None where it is not committed.

        Raises:
            RunError: the storage did not answer.
        """
        data = self.get_file(f"commits/{plain_name(batch_key)}.json")
        return None if data is None else self.generation().content(batch_key, json.loads(data))

    def committed_keys(self) -> set[str]:
        """The batch_key of every commit."""
        return {_key(file) for file in self._commit_files()}

    def committed(self) -> dict[str, dict[str, Any]]:
        """The content of every commit, by batch_key, in the order of the keys; InputError where a newer version wrote one."""
        files = self._commit_files()
        generation = self.generation()
        contents = ordered_map(files.items(), self._read_commit, READERS, ahead=4 * READERS)
        return {_key(file): generation.content(_key(file), content) for file, content in zip(files, contents)}

    def generation(self) -> Generation:
        """What replaces files of OUT that were written before.

        Raises:
            RunError: the storage did not answer.
        """
        return newest_generation(self)

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
            if not self.has_file(relative):
                raise RunError(f"batch {batch_key}: {table} is not at {self.url}/{relative}; run again to write it")
        # The token makes this call's content unlike any other's, so that winning is never mistaken.
        data = _json({"batch_key": batch_key, **content, "commit_token": secrets.token_hex(8)})
        return self.create_file(f"commits/{plain_name(batch_key)}.json", data)

    # tables

    def write_table(self, table: str, rows: pa.Table, day: date, key: str) -> str:
        """Write rows of one table, or adopt the file that another run has written.

        Args:
            table: name of the table.
            rows: the rows.
            day: date of the batch, of the report or of the import, by which the table's files are parted.
            key: name of the batch, of the report or of the import.

        Returns:
            The file's path relative to OUT.

        Raises:
            ValueError: the rows do not fit the table's schema.
            RunError: it could not be written.
        """
        relative = f"{table}/{PARTITION[table]}={day.isoformat()}/{plain_name(key)}.parquet"
        self.create_file(relative, _parquet(table, rows))
        return relative

    def committed_files(self, table: str, commits: Mapping[str, Mapping[str, Any]] | None = None) -> list[str]:
        """Paths, relative to OUT, of the files of a table that count: of committed batches, of reports, of imports.

        Args:
            table: name of the table.
            commits: what :meth:`committed` gave, where that is known already.

        Raises:
            KeyError: there is no such table.
        """
        if table in DERIVED or table == "labels":
            return self.generation().current(file for file in self.files(table) if file.endswith(".parquet"))
        TABLES[table]
        commits = self.committed() if commits is None else commits
        return sorted(content["files"][table] for content in commits.values() if table in content["files"])

    def import_keys(self) -> set[str]:
        """The import_id of every file of `labels` that there is or was."""
        replaced = (file for file in self.generation().files if file.startswith("labels/"))
        return {file_key(file) for file in (*self.committed_files("labels"), *replaced)}

    def rewrite_table(self, table: str, rows: pa.Table, file: str, ending: str) -> str:
        """Write what is left of a file's rows under the name of a new generation, whose path is returned.

        Args:
            table: name of the table.
            rows: the rows.
            file: path of the file that they are from, relative to OUT.
            ending: ``g`` with the number of the generation in six digits, a dash, and eight hex digits of whoever makes it.

        Raises:
            ValueError: the rows do not fit the table's schema.
            RunError: it could not be written.
        """
        folder = file.rsplit("/", 1)[0]
        relative = f"{folder}/{file_key(file)}.{ending}.parquet"
        self.create_file(relative, _parquet(table, rows))
        return relative

    def read(self, table: str, columns: Sequence[str] | None = None) -> pa.Table:
        """All rows of a table that count, files in the order of their paths.

        Args:
            table: name of the table.
            columns: columns wanted; None for all.

        Raises:
            KeyError: there is no such table.
            RunError: a file cannot be read.
        """
        return read_steadily(self, lambda: self.read_files(table, self.committed_files(table), columns))

    def read_files(self, table: str, files: Iterable[str], columns: Sequence[str] | None = None) -> pa.Table:
        """Rows of some files of a table, paths relative to OUT, in their order; columns and errors as for :meth:`read`."""
        schema = table_schema(table)
        if columns is not None:
            schema = pa.schema([schema.field(name) for name in columns])

        def read(relative: str) -> pa.Table:
            try:
                # A column that an older file lacks is left out by this reader, and null in what is given.
                found = pq.ParquetFile(io.BytesIO(self.storage.read(self._path(relative)))).read(columns)
            except (OSError, pa.ArrowInvalid) as error:
                why = self.storage.explain(error)
                raise RunError(
                    f"{self.url}/{relative}: cannot be read ({why}){self._way_out(relative, error)}"
                ) from error
            return conform(found, schema)

        parts = list(ordered_map(files, read, READERS, ahead=2 * READERS))
        return pa.concat_tables(parts) if parts else schema.empty_table()

    def lost_files(self, damaged: Callable[[str], bool] = lambda file: False) -> list[str]:
        """Files that count, of all tables, and that are not there, since something else than this program removed them.

        Args:
            damaged: whether a file that is there is to be given as well.

        Raises:
            RunError: the storage did not answer.
        """
        commits, lost = self.committed(), []
        for table in TABLES:
            here = set(self.files(table))
            lost += [file for file in self.committed_files(table, commits) if file not in here or damaged(file)]
        return lost

    # inside

    def _way_out(self, file: str, error: Exception | None = None) -> str:
        """What to do about a file that is gone or damaged; nothing where an error is another one, such as a missing right."""
        if isinstance(error, OSError) and not isinstance(error, FileNotFoundError):
            return ""
        if file.startswith("labels/"):
            return "; restore it from a backup, or delete it and import its labels again"
        out = self.url.removeprefix("file://")
        return f"; restore it from a backup, or have its batch audited again: trapaudit repair {out}"

    def _read_commit(self, found: tuple[str, str]) -> dict[str, Any]:
        """The content of a commit of this path and state, read once in a process."""
        key = (self.url, *found)
        if key not in _READ_COMMITS:
            content = self._read_json(found[0])
            check_schema_version(int(content.get("schema_version", 1)), self.url)
            _READ_COMMITS[key] = content
        return _READ_COMMITS[key]

    def _commit_files(self) -> dict[str, str]:
        return {file: state for file, state in self.states("commits").items() if file.endswith(".json")}

    def _read_json(self, relative: str) -> dict[str, Any]:
        try:
            return json.loads(self.storage.read(self.storage.path(relative)))
        except (OSError, ValueError) as error:
            raise RunError(f"{self.url}/{relative}: cannot be read ({self.storage.explain(error)})") from error


def read_steadily(store: AuditStore, read: Callable[[], T]) -> T:
    """What a reading gives, which begins anew where a new generation removed a file between its listing and its reading.

    Args:
        store: OUT.
        read: lists what counts and reads it; what it raises is raised where nothing was replaced meanwhile.

    Raises:
        RunError: a file that counts is gone or damaged.
    """
    for _ in range(_TRIES):
        before = store.generation().number
        try:
            return read()
        except Exception as error:  # of whatever library reads the files
            if store.generation().number != before:
                continue
            if lost := store.lost_files(str(error).__contains__):
                more = f", and {len(lost) - 1} more" if lost[1:] else ""
                raise RunError(f"{store.url}/{lost[0]}: is gone or damaged{more}{store._way_out(lost[0])}") from error
            raise
    return read()


def _key(file: str) -> str:
    return file.rsplit("/", 1)[-1].removesuffix(".json")


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

"""Pictures of an audit by their id: the frames of an event, evidence, references; only files of their own batches are opened."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import duckdb
import pyarrow as pa

from scd_core.audit.query.connection import open_database
from scd_core.audit.query.tables import newest_report, table_files, table_sql
from scd_core.audit.sql import load_sql
from scd_core.tables.folder import file_key
from scd_core.tables.schema import DERIVED, TABLES, table_schema
from scd_core.tables.store import AuditStore

__all__ = ["Frames", "Row"]

Row = Mapping[str, Any]
"""Columns of a query of the folder ``sql``, by name."""

_OF_A_BATCH = ("media", "predictions", "masks", "reclassifications", "runs")
_EVENTS_KEPT = 1024
"""Events whose frames stay in memory."""


class Frames:
    """Reads what the review shows of pictures, for several threads at once.

    Args:
        store: OUT, as it is now; batches that are committed later are not seen.

    Raises:
        InputError: OUT holds no audit.
        RunError: OUT cannot be read.
    """

    def __init__(self, store: AuditStore) -> None:
        self._store = store
        self._found = table_files(store)
        self._root = store.storage.local_root
        self._connection = open_database(store)
        for package, macro in (("scd_core.audit.errors", "drawn_by"), (__package__, "lot_of")):
            self._connection.execute(load_sql(package, macro))
        self._files: dict[str, dict[str, str]] = {}
        for table in _OF_A_BATCH:
            for file in self._found.files[table]:
                self._files.setdefault(file_key(file), {})[table] = file
        commits = [one for one in store.committed().values() if not one.get("is_shadow")]
        self._has_one_run = len({(one["model_digest"], one["config_digest"]) for one in commits}) <= 1
        self._lock = threading.Lock()
        self._runs: dict[str, Row] = {}
        self._events: OrderedDict[tuple[str, str], list[Row]] = OrderedDict()
        report = newest_report(self._found)
        for table in DERIVED:
            files = [f"{table}/{report}"] if report else []
            self._connection.execute(f"CREATE VIEW {table} AS {table_sql(table, files, root=self._root)}")
        self.report_id = file_key(report) if report else None

    def event(self, batch_key: str, media_id: str) -> list[Row]:
        """All targets of the event that a picture belongs to, in the order of time, as ``sql/frames.sql`` lists them.

        Args:
            batch_key: batch of the picture.
            media_id: the picture.

        Returns:
            The targets; none where the batch has no such picture, or it is no usable one.
        """
        key = batch_key, media_id
        with self._lock:
            if key in self._events:
                self._events.move_to_end(key)
                return self._events[key]
        self.load_events(batch_key, [media_id])
        with self._lock:
            return self._events.get(key, [])

    def load_events(self, batch_key: str, media_ids: Collection[str]) -> None:
        """Read the events of some pictures of a batch at once, for :meth:`event`; those that are in memory are not read again."""
        with self._lock:
            wanted = [name for name in media_ids if (batch_key, name) not in self._events]
        if not wanted or batch_key not in self._files:
            return
        rows = self._query("frames", batch_key, {"media": wanted})
        by_event: dict[str | None, list[Row]] = {}
        by_media: dict[str, list[Row]] = {}
        for row in rows:
            by_event.setdefault(row["event_id"], []).append(row)
            by_media.setdefault(row["media_id"], []).append(row)
        with self._lock:
            for name in wanted:
                own = by_media.get(name, [])
                event_id = own[0]["event_id"] if own else None
                self._events[batch_key, name] = own if event_id is None else by_event[event_id]
            while len(self._events) > _EVENTS_KEPT:
                self._events.popitem(last=False)

    def evidence(self, batch_key: str, target_id: str) -> list[Row]:
        """Masks and views of a target, as ``sql/evidence.sql`` lists them."""
        return self._query("evidence", batch_key, {"target": target_id}) if batch_key in self._files else []

    def run(self, batch_key: str) -> Row:
        """SOURCE, settings and model of a batch, as ``sql/run.sql`` lists them; empty where there is none."""
        if batch_key not in self._runs:
            found = self._query("run", batch_key, {}) if batch_key in self._files else []
            self._runs[batch_key] = found[0] if found else {}
        return self._runs[batch_key]

    def names(self) -> list[str]:
        """Names that the models of the audit know, in their order, from the newest batches."""
        newest = sorted(self._files)[-1:] if self._has_one_run else sorted(self._files)
        found = {name for key in newest for name in self.run(key).get("individuals") or ()}
        return sorted(found)

    def references(self, individual_id: str, flank: str | None, limit: int) -> list[Row]:
        """Labelled pictures of an individual by the newest report, as ``sql/references.sql`` lists them."""
        with self._connection.cursor() as cursor:
            values = {"individual": individual_id, "flank": flank, "limit": limit}
            return _rows(cursor, load_sql(__package__, "references"), values)

    def find(self, target_id: str) -> Row | None:
        """The batch and the picture of a target by the newest run over it; None where there is none. Looks at all batches."""
        with self._connection.cursor() as cursor:
            for table in ("predictions", "runs"):
                self._show(cursor, table, table, self._found.files[table])
            return next(iter(_rows(cursor, load_sql(__package__, "find"), {"target": target_id})), None)

    def slices(self) -> list[Row]:
        """Slices of the newest report, the most significant first."""
        with self._connection.cursor() as cursor:
            return _rows(
                cursor, "SELECT * FROM error_slices WHERE error_rate IS NOT NULL ORDER BY q_value, slice_id", {}
            )

    def reported_errors(self) -> pa.Table:
        """Labelled rows of ``errors`` of the newest report."""
        with self._connection.cursor() as cursor:
            columns = ", ".join(f'"{name}"' for name in TABLES["errors"])
            found = cursor.sql(f"SELECT {columns} FROM errors WHERE is_labelled").to_arrow_table()
            return found.cast(table_schema("errors"))

    def features(self, batch_keys: Collection[str], target_ids: Collection[str]) -> pa.Table:
        """``target_id``, ``embedding_space`` and ``features`` of targets of some batches, as far as OUT has them."""
        wanted = set(batch_keys)
        files = [file for file in self._found.files["embeddings"] if file_key(file) in wanted]
        with self._connection.cursor() as cursor:
            cursor.execute(
                f"CREATE OR REPLACE TEMP VIEW embeddings AS {table_sql('embeddings', files, root=self._root)}"
            )
            return cursor.execute(
                "SELECT target_id, embedding_space, features FROM embeddings WHERE target_id IN (SELECT unnest($targets))",
                {"targets": list(target_ids)},
            ).to_arrow_table()

    def readings(self, label_files: Sequence[str]) -> list[Row]:
        """Second readings with both names, as ``sql/readings.sql`` lists them, among the labels of some files."""
        with self._connection.cursor() as cursor:
            source = table_sql("labels", label_files, root=self._root)
            cursor.execute(f"CREATE OR REPLACE TEMP VIEW labels AS {source}")
            return _rows(cursor, load_sql(__package__, "readings"), {})

    def batches_of(self, media_ids: Collection[str]) -> set[str]:
        """Batches that hold some pictures. Looks at all batches."""
        sql = "SELECT DISTINCT batch_key FROM predictions WHERE media_id IN (SELECT unnest($media))"
        return {row["batch_key"] for row in self.select(sql, {"media": list(media_ids)}, ("predictions",))}

    def open_batches(self, batch_keys: Collection[str], label_files: Sequence[str]) -> duckdb.DuckDBPyConnection:
        """A database with the tables of some batches and some labels, in which errors can be derived; to be closed.

        Where a picture may be in several batches, or a run does not name the individuals that its model knows, all batches
        are there, because what a row of one batch is depends on the others.
        """
        newest = sorted(batch_keys)[-1]
        alone = self._has_one_run and bool(self.run(newest).get("individuals"))
        files = dict(self._found.files)
        for table in _OF_A_BATCH if alone else ():
            files[table] = [found[table] for key in batch_keys if table in (found := self._files[key])]
        files["labels"] = list(label_files)
        connection = open_database(self._store)
        for table in (*_OF_A_BATCH, "labels", *DERIVED):
            fill = self._found.has_old_schema or table == "labels"
            source = table_sql(table, () if table in DERIVED else files[table], root=self._root, fill=fill)
            connection.execute(f'CREATE VIEW "{table}" AS {source}')
        return connection

    def select(self, sql: str, values: Mapping[str, Any], tables: Sequence[str]) -> list[Row]:
        """Rows of a query over whole tables of pictures and the newest report.

        Args:
            sql: the query.
            values: of its `$` parameters.
            tables: tables of pictures that it reads.
        """
        with self._connection.cursor() as cursor:
            for table in tables:
                self._show(cursor, table, table, self._found.files[table])
            return _rows(cursor, sql, values)

    def _query(self, name: str, batch_key: str, values: Mapping[str, Any]) -> list[Row]:
        files = self._files[batch_key]
        with self._connection.cursor() as cursor:
            for table in _OF_A_BATCH:
                self._show(cursor, table, table, [files[table]] if table in files else [])
            hiding = [files["predictions"]] if self._has_one_run else self._found.files["predictions"]
            self._show(cursor, "hiding", "predictions", hiding)
            return _rows(cursor, load_sql(__package__, name), values)

    def _show(self, cursor: duckdb.DuckDBPyConnection, view: str, table: str, files: Sequence[str]) -> None:
        source = table_sql(table, files, root=self._root, fill=self._found.has_old_schema or len(files) < 2)
        cursor.execute(f'CREATE OR REPLACE TEMP VIEW "{view}" AS {source}')


def _rows(cursor: duckdb.DuckDBPyConnection, sql: str, values: Mapping[str, Any]) -> list[Row]:
    answer = cursor.execute(sql, dict(values))
    columns = [column[0] for column in answer.description or ()]
    return [dict(zip(columns, row, strict=True)) for row in answer.fetchall()]

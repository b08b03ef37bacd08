"""The queues as a report left them: one small file in OUT, so that a review opens without deriving anything."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from scd_core.audit.labels.truth import need_label_targets
from scd_core.audit.query.batches import batches_shown
from scd_core.audit.query.connection import open_tables
from scd_core.audit.query.views import READY_VIEWS
from scd_core.audit.queue.draw import create_listed, listed_shown
from scd_core.audit.sql import load_sql
from scd_core.label_names import ReviewQueue
from scd_core.tables.folder import file_key
from scd_core.tables.store import AuditStore

__all__ = ["SECOND_SHARE", "KeptQueues", "Waiting", "draw_next", "keep_queues", "load_queues"]

_FOLDER = "review/queues"
SECOND_SHARE = 0.1
"""Share of one person's answers that a second reader gets, 0-1."""
_LIMIT = 1000
"""Most places of each queue that are kept."""
_LOOKED_AT = 5000
"""Pictures of each stratum that are looked at for the list of what to label next."""
_STORED = 2
"""Newest files that are left in OUT."""
_SCHEMA = pa.schema(
    [
        ("queue", pa.string()),
        ("place", pa.int64()),
        ("batch_key", pa.string()),
        ("target_id", pa.string()),
        ("media_id", pa.string()),
        ("detection_id", pa.string()),
        ("content_number", pa.int64()),
        ("group_id", pa.string()),
        ("reason", pa.string()),
        ("queue_probability", pa.float64()),
        ("said", pa.list_(pa.string())),
        ("labelled_by", pa.string()),
    ]
)
_DERIVED: dict[str, dict[str, float]] = {
    ReviewQueue.NEXT: {},
    ReviewQueue.SUSPECTED: {},
    ReviewQueue.CANDIDATES: {},
    ReviewQueue.DISAGREEMENTS: {},
    ReviewQueue.SECOND: {"share": SECOND_SHARE},
}
"""Queue with a query of its own in the folder ``sql`` -> its parameters."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A target at its place in a queue."""

    queue: str
    place: int
    batch_key: str
    target_id: str
    media_id: str
    detection_id: str | None
    content_number: int | None
    """Of its picture's bytes and its detection, for draws; None where it is not known."""
    group_id: str | None
    """Of `candidates` the candidate; of `next` the stratum that it was drawn from; of `second` the name that it has."""
    reason: str
    """Why it is here, in words or as a value of `stratum`."""
    queue_probability: float | None
    """Chance that a visit of the stratum stands on the list down to this place, 0-1; None outside `next`."""
    said: tuple[str, ...] = ()
    """What people called it by the time of the report, each ``who: name``."""
    labelled_by: str | None = None
    """Of `second` the first reader."""


@dataclass(frozen=True)
class KeptQueues:
    """All queues of a report, each in its order."""

    waiting: tuple[Waiting, ...]
    label_files: frozenset[str]
    """Files of `labels` that the report knew; answers in others came later."""


def keep_queues(
    store: AuditStore, connection: duckdb.DuckDBPyConnection, name: str, label_files: Sequence[str]
) -> KeptQueues:
    """Make the queues of an audit and keep them in OUT for the review.

    Args:
        store: OUT.
        connection: database of :func:`scd_core.audit.query.connection.open_tables`, opened after the newest report.
        name: id of the report.
        label_files: files of `labels` that there were before the connection was opened.

    Raises:
        RunError: OUT cannot be written.
    """
    need_label_targets(connection)
    parts = [_rows(connection, queue) for queue in _DERIVED]
    rows = pa.concat_tables(parts).replace_schema_metadata({"label_files": json.dumps(label_files)})
    sink = io.BytesIO()
    pq.write_table(rows, sink, compression="zstd")
    store.put_file(f"{_FOLDER}/{name}.parquet", sink.getvalue())
    for old in _files(store)[:-_STORED]:
        store.delete_file(old)
    return _queues(rows, label_files)


def load_queues(out: str) -> KeptQueues:
    """The queues of the newest report; where none kept them, or they cannot be read, they are made now.

    Args:
        out: OUT.

    Raises:
        InputError: OUT holds no audit.
        RunError: OUT cannot be read, or not be written where it has to be.
    """
    store = AuditStore(out)
    reports = store.committed_files("error_slices")
    name = file_key(reports[-1]) if reports else "none"
    content = store.get_file(f"{_FOLDER}/{name}.parquet") if f"{_FOLDER}/{name}.parquet" in _files(store) else None
    if content is not None:
        try:
            rows = pq.read_table(io.BytesIO(content))
            return _queues(rows, json.loads(rows.schema.metadata[b"label_files"]))
        except (pa.ArrowInvalid, KeyError, TypeError, ValueError):
            pass  # whatever is wrong with what was kept, it can be made anew
    label_files = store.committed_files("labels")
    with open_tables(out) as connection:
        return keep_queues(store, connection, name, label_files)


def draw_next(out: str) -> tuple[Waiting, ...]:
    """What to label next, drawn now, after all labels that there are; takes as long as in a report.

    Args:
        out: OUT.

    Raises:
        InputError: OUT holds no audit.
        RunError: OUT cannot be read.
    """
    with open_tables(out) as connection:
        return _queues(_rows(connection, ReviewQueue.NEXT), ()).waiting


def _rows(connection: duckdb.DuckDBPyConnection, queue: str) -> pa.Table:
    is_drawn = queue == ReviewQueue.NEXT
    for package, macro in (("scd_core.audit.errors", "drawn_by"), (__package__, "lot_of")):
        connection.execute(load_sql(package, macro))
    if is_drawn:
        create_listed(connection, _LIMIT, _LOOKED_AT)
    shown: AbstractContextManager[None] = listed_shown(connection) if is_drawn else nullcontext()
    if queue == ReviewQueue.CANDIDATES:
        connection.execute(f"CREATE OR REPLACE TEMP VIEW current_candidates AS {READY_VIEWS['current_candidates']}")
        shown = _candidates_shown(connection)
    with shown:
        values = {"limit": _LIMIT, **_DERIVED[queue]}
        found = connection.sql(load_sql(__package__, queue), params=values).to_arrow_table()
    return found.select(_SCHEMA.names).cast(_SCHEMA)


def _candidates_shown(connection: duckdb.DuckDBPyConnection) -> AbstractContextManager[None]:
    """Show the batches alone that may have a picture of a candidate in their newest run, where these are known."""
    names = connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()
    if {name for (name,) in names} >= {"superseded", "batch_files"}:
        ((batches, is_all),) = connection.execute(load_sql(__package__, "candidate_batches")).fetchall()
        if not is_all:
            return batches_shown(connection, batches)
    return nullcontext()


def _files(store: AuditStore) -> list[str]:
    return [file for file in store.files(_FOLDER) if file.endswith(".parquet")]


def _queues(rows: pa.Table, label_files: Sequence[str]) -> KeptQueues:
    waiting = tuple(
        Waiting(**{**row, "said": tuple(row["said"] or ()), "reason": row["reason"] or ""}) for row in rows.to_pylist()
    )
    return KeptQueues(waiting, frozenset(label_files))

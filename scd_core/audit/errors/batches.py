"""What a report takes from each batch, a few batches at a time, and only from those of which it is not kept already."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import duckdb

from scd_core.audit.query.batches import knows_files, show_all, show_batches
from scd_core.audit.sql import load_sql
from scd_core.audit.state.kept import KeptRows

__all__ = ["ALONE", "JUDGED", "Stage", "create_parts"]

_PICTURES = 500_000
"""Pictures that are looked at together."""
_APART = 8
"""Groups of batches after which their rows are added to those of all: adding few rows takes as long as adding many."""


@dataclass(frozen=True)
class Stage:
    """Tables of which each row is made from one batch; every name is also that of a query in the folder ``sql``."""

    name: str
    parts: tuple[str, ...]
    steps: tuple[str, ...]
    """Queries that make the parts, in their order."""
    digests: str
    """Query that makes the table `digests`: batch_key, and a hash over all that a batch's rows are made from."""
    settled: tuple[str, ...] = ()
    """Tables over all batches, of which only the rows of the batches are shown to the steps."""


_ALONE = ("qualities", "stays", "lots", "near", "names")
ALONE = Stage("alone", _ALONE, _ALONE, "digests_alone")
"""What follows from the pictures and predictions of a batch."""
JUDGED = Stage(
    "judged",
    ("cells", "label_counts", "targets", "model_names", "batch_counts", "event_counts"),
    (
        "suspected",
        "media_quality",
        "event_truths",
        "visits",
        "cells",
        "chosen",
        "event_sizes",
        "label_counts",
        "chosen_media",
        "evidence",
        "targets",
        "model_names",
        "batch_counts",
        "labelled_batches",
        "event_counts",
    ),
    "digests_judged",
    ("superseded", "labelled"),
)
"""What follows from a batch, its labels, which of its pictures were named again, who travels, and how sharp a camera is."""


def create_parts(
    connection: duckdb.DuckDBPyConnection,
    stage: Stage,
    settings: Mapping[str, Mapping[str, Any]],
    kept: KeptRows | None = None,
) -> None:
    """Make the temporary tables ``stage.parts``.

    Args:
        connection: database of :func:`scd_core.audit.query.connection.open_tables` with the tables that the queries read.
        stage: what to make.
        settings: query -> its parameters.
        kept: rows of earlier reports; None looks at all batches and keeps nothing.
    """
    for name in stage.settled:
        connection.execute(f"CREATE OR REPLACE TEMP TABLE all_{name} AS FROM {name} ORDER BY batch_key")
    for name in stage.parts:
        connection.execute(f"DROP TABLE IF EXISTS all_{name}")
    keeps = kept if kept is not None and knows_files(connection) else None
    if keeps is not None:
        connection.execute(_sql(stage.digests), {"version": _version(stage, settings)})
        keeps.load(connection, stage.name, stage.parts)
    n_apart = 0
    for batch_keys in _groups(connection, keeps is not None):
        _show(connection, stage, batch_keys)
        for name in stage.steps:
            connection.execute(_sql(name), settings.get(name, {}))
        for name in stage.parts:
            connection.execute(f"ALTER TABLE {name} RENAME TO {name}_{n_apart}")
        n_apart += 1
        if n_apart == _APART:
            _add_up(connection, stage, n_apart)
            n_apart = 0
    _add_up(connection, stage, n_apart)
    show_all(connection)
    if keeps is not None:
        keeps.save(connection, stage.name, stage.parts)
    for name in (*stage.parts, *stage.settled):
        connection.execute(f"DROP TABLE IF EXISTS {name}")
        connection.execute(f"ALTER TABLE all_{name} RENAME TO {name}")


def _add_up(connection: duckdb.DuckDBPyConnection, stage: Stage, n_apart: int) -> None:
    """Add the rows of some groups, each in tables of its own, to those of all."""
    for name in stage.parts if n_apart else ():
        connection.execute(f"CREATE TEMP TABLE IF NOT EXISTS all_{name} AS FROM {name}_0 LIMIT 0")
        rows = " UNION ALL ".join(f"FROM {name}_{number}" for number in range(n_apart))
        connection.execute(f"INSERT INTO all_{name} {rows}")
        for number in range(n_apart):
            connection.execute(f"DROP TABLE {name}_{number}")


def _version(stage: Stage, settings: Mapping[str, Mapping[str, Any]]) -> str:
    """Hash over the queries, their parameters and DuckDB, whose own hashes are part of digests."""
    texts = [_sql(name) for name in (*stage.steps, "primary_reason", "drawn_by", "draw_lot")]
    return hashlib.sha256(json.dumps([texts, dict(settings), duckdb.__version__]).encode()).hexdigest()


def _groups(connection: duckdb.DuckDBPyConnection, has_kept: bool) -> Iterator[list[str] | None]:
    """Batches to look at together; None is all, where a database does not know in which files they are."""
    if not knows_files(connection):
        yield None
        return
    sizes = connection.execute(_sql("batch_sizes")).fetchall()
    if has_kept:
        known = {key for (key,) in connection.execute("SELECT batch_key FROM kept").fetchall()}
        if known and len(known) == len(sizes):
            return
        sizes = [(key, size) for key, size in sizes if key not in known]
    group: list[str] = []
    n_pictures = 0
    for batch_key, size in sizes:
        if group and n_pictures + size > _PICTURES:
            yield group
            group, n_pictures = [], 0
        group.append(batch_key)
        n_pictures += size
    yield group


def _show(connection: duckdb.DuckDBPyConnection, stage: Stage, batch_keys: list[str] | None) -> None:
    if batch_keys is not None:
        show_batches(connection, batch_keys)
    # The rows of the batches stand together, so most are passed over by the first and the last key.
    values: dict[str, Any] = {}
    chosen = "true"
    if batch_keys is not None:
        values = {"keys": batch_keys, "first": min(batch_keys, default=""), "last": max(batch_keys, default="")}
        chosen = "batch_key BETWEEN $first AND $last AND batch_key IN (SELECT unnest($keys::VARCHAR[]))"
    for name in stage.settled:
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS FROM all_{name} WHERE {chosen}", values)


def _sql(name: str) -> str:
    return load_sql("scd_core.audit.errors", name)

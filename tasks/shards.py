"""Rows cut into shards, and shard results kept under a content key until their batch is committed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator

import pyarrow as pa

from scd_core.job import Shard
from scd_core.storage.meter import metered
from scd_core.tables.folder import OutFolder
from scd_core.tables.shards import load_shard, save_shard

__all__ = ["cut", "kept", "shard_key", "take_waits"]

_WAITS = b"trapaudit.waits"


def cut(rows: pa.Table, size: int) -> Iterator[pa.Table]:
    """Consecutive parts of at most `size` rows."""
    for start in range(0, len(rows), size):
        yield rows.slice(start, size)


def shard_key(rows: pa.Table, column: str) -> str:
    """Content key of a shard: a hash over its ids. The batch key stands for the model and the settings."""
    return hashlib.sha256("\n".join(rows.column(column).to_pylist()).encode()).hexdigest()[:24]


def kept(shard: Shard, stage: str, key: str, compute: Callable[[], pa.Table]) -> pa.Table:
    """The result that any run kept of the same shard first, or a new one, which is then kept.

    What the task waited for travels with the result (:func:`take_waits`), from whichever machine it was on.
    """
    with metered() as meter:
        store = OutFolder(shard.out)
        found = load_shard(store, shard.batch_key, stage, key)
        if found is None:
            found = save_shard(store, shard.batch_key, stage, key, compute())
    waits = json.dumps(meter.seconds()).encode()
    return found.replace_schema_metadata({**(found.schema.metadata or {}), _WAITS: waits})


def take_waits(rows: pa.Table) -> tuple[pa.Table, dict[str, float]]:
    """A shard's result, and what its task waited for: seconds of :meth:`scd_core.storage.meter.Meter.seconds`."""
    metadata = dict(rows.schema.metadata or {})
    waits: dict[str, float] = json.loads(metadata.pop(_WAITS, b"{}"))
    return rows.replace_schema_metadata(metadata or None), waits

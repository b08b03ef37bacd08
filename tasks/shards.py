"""Rows cut into shards, and shard results kept under a content key until their batch is committed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

import pyarrow as pa

from scd_core.job import Shard
from scd_core.tables.store import AuditStore

__all__ = ["cut", "kept", "shard_key"]


def cut(rows: pa.Table, size: int) -> Iterator[pa.Table]:
    """Consecutive parts of at most `size` rows."""
    for start in range(0, len(rows), size):
        yield rows.slice(start, size)


def shard_key(rows: pa.Table, column: str) -> str:
    """Content key of a shard: a hash over its ids. The batch key stands for the model and the settings."""
    return hashlib.sha256("\n".join(rows.column(column).to_pylist()).encode()).hexdigest()[:24]


def kept(shard: Shard, stage: str, key: str, compute: Callable[[], pa.Table]) -> pa.Table:
    """The result that any run kept of the same shard first, or a new one, which is then kept."""
    store = AuditStore(shard.out)
    found = store.load_shard(shard.batch_key, stage, key)
    if found is None:
        found = store.save_shard(shard.batch_key, stage, key, compute())
    return found

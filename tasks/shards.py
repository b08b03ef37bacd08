"""Rows cut into shards, and shard results kept under a content key until their batch is committed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

import pyarrow as pa

from scd_core.job import Shard
from scd_core.tables.folder import OutFolder
from scd_core.tables.shards import load_shard, save_shard

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
    store = OutFolder(shard.out)
    found = load_shard(store, shard.batch_key, stage, key)
    if found is None:
        found = save_shard(store, shard.batch_key, stage, key, compute())
    return found

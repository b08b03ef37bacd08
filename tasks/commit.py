"""Commit: write the tables of a batch, one create-only file each, and the commit object last."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from scd_core.job import Shard
from scd_core.tables.batches import Batch
from scd_core.tables.commit import commit_batch
from scd_core.tables.rows import RunRow
from tasks.work import Work

__all__ = ["COMMIT", "commit_tables"]


def commit_tables(tables: Mapping[str, pa.Table], batch: Batch, shard: Shard, run: RunRow) -> dict[str, Any]:
    """Check that nothing was lost, write every table, commit; the commit's content, and whether another run had won."""
    return commit_batch(shard.out, tables, batch, run)


COMMIT = Work(commit_tables, "commit", retries=3, retry_delays=(1.0, 5.0, 20.0), retry_jitter=0.5)

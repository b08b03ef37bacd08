"""Commit: write the tables of a batch, one create-only file each, and the commit object last."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
from prefect import task
from prefect.cache_policies import NO_CACHE

from scd_core.job import Shard
from scd_core.tables.batches import Batch
from scd_core.tables.commit import commit_batch
from scd_core.tables.rows import RunRow

__all__ = ["commit_tables"]


@task(
    name="commit",
    tags=["trapaudit"],
    retries=3,
    retry_delay_seconds=[1, 5, 20],
    retry_jitter_factor=0.5,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def commit_tables(tables: Mapping[str, pa.Table], batch: Batch, shard: Shard, run: RunRow) -> dict[str, Any]:
    """Check that nothing was lost, write every table, commit; the commit's content, and whether another run had won."""
    return commit_batch(shard.out, tables, batch, run)

"""Group: put the unknowns of a batch to candidates, those of earlier batches first."""

from __future__ import annotations

import pyarrow as pa

from scd_core.audit.individuals.grouped import group_batch
from scd_core.job import Shard
from tasks.shards import kept, shard_key
from tasks.work import Work

__all__ = ["GROUP", "group_shard"]


def group_shard(predictions: pa.Table, embeddings: pa.Table, shard: Shard) -> pa.Table:
    """Rows of the table `candidates` for the unknowns among the predictions of a whole batch."""

    def compute() -> pa.Table:
        return group_batch(shard.out, shard.model, predictions, embeddings)

    return kept(shard, "candidates", shard_key(predictions, "target_id"), compute)


GROUP = Work(group_shard, "group")

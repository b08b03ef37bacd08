"""A batch on its way through the stages: what is given, and the tables made so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from flows.runner import Runner
from scd_core.job import Job, Shard
from scd_core.names import Stage
from scd_core.tables.batches import Batch
from tasks.work import Work

__all__ = ["BatchState"]


@dataclass
class BatchState:
    """A batch on its way through the stages."""

    job: Job
    batch: Batch
    shard: Shard
    runner: Runner
    tables: dict[str, pa.Table] = field(default_factory=dict)
    selected: list[pa.Table] = field(default_factory=list)  # shards of the predictions to mask
    masks: list[pa.Table] = field(default_factory=list)  # their masks
    seconds: dict[Stage, float] = field(default_factory=dict)  # stage -> wall time (s)

    def map(self, stage: Stage, work: Work, parts: Sequence[Sequence[Any]], *columns: Sequence[Any]) -> list[Any]:
        """Run a stage's function on shards: the part, the job's shard settings, then one value of each column."""
        sizes = [len(part) for part in parts]
        calls = [(part, *values) for part, *values in zip(parts, *columns, strict=True)]
        with self.runner.progress.stage(stage, sum(sizes)) as advance:
            return self.runner.map(work, calls, lambda place: advance(sizes[place]))

    def same(self, parts: Sequence[Any]) -> list[Shard]:
        """The shard settings, once for each part."""
        return [self.shard] * len(parts)

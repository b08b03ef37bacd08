"""A batch on its way through the stages: what is given, and the tables made so far."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from flows.runner import Runner
from scd_core.errors import RunError
from scd_core.job import Job, Shard
from scd_core.names import Stage
from scd_core.tables.batches import Batch
from tasks.shards import take_waits
from tasks.work import Work

__all__ = ["BatchState"]

_AT_ONCE = 32
"""Shards that are begun together beside another batch; between them it is seen whether that batch has failed."""


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
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    begun: dict[Stage, float] = field(default_factory=dict)  # stage -> when it began (s, from started_at)
    seconds: dict[Stage, float] = field(default_factory=dict)  # stage -> wall time (s)
    waits: dict[Stage, Counter[str]] = field(default_factory=dict)  # stage -> what its tasks waited for (s)
    is_ahead: Callable[[], bool] | None = None
    """Set while the stage runs beside another batch: it shows nothing then, and whether it is to go on."""
    held: list[str] = field(default_factory=list)  # lines that are shown once the batch's turn comes
    _clock: float = field(default_factory=time.monotonic)

    @contextmanager
    def timed(self, stage: Stage) -> Iterator[None]:
        """Note when a stage begins and how long it takes."""
        began = time.monotonic()
        self.begun[stage] = began - self._clock
        yield
        self.seconds[stage] = time.monotonic() - began

    def times(self) -> Iterator[tuple[str, float]]:
        """When each stage began, and what its tasks waited for: ``mask:begin``, ``mask:storage`` and so on (s)."""
        for stage, begin in self.begun.items():
            yield f"{stage}:begin", begin
            yield from ((f"{stage}:{name}", seconds) for name, seconds in self.waits.get(stage, {}).items())

    def note(self, text: str) -> None:
        """Show one line, at the batch's turn."""
        if self.is_ahead is None:
            self.runner.progress.note(text)
        else:
            self.held.append(text)

    def map(self, stage: Stage, work: Work, parts: Sequence[Sequence[Any]], *columns: Sequence[Any]) -> list[pa.Table]:
        """Run a stage's function on shards: the part, the job's shard settings, then one value of each column."""
        sizes = [len(part) for part in parts]
        calls = [(part, *values) for part, *values in zip(parts, *columns, strict=True)]
        if self.is_ahead is None:
            with self.runner.progress.stage(stage, sum(sizes)) as advance:
                found = self.runner.map(work, calls, lambda place: advance(sizes[place]))
        else:
            found = []
            for start in range(0, len(calls), _AT_ONCE):
                if not self.is_ahead():
                    raise RunError("the batch before it failed")
                found += self.runner.map(work, calls[start : start + _AT_ONCE], lambda place: None)
        return [self.taken(stage, rows) for rows in found]

    def taken(self, stage: Stage, rows: pa.Table) -> pa.Table:
        """A task's result, whose waits are counted."""
        rows, waits = take_waits(rows)
        self.waits.setdefault(stage, Counter()).update(waits)
        return rows

    def same(self, parts: Sequence[Any]) -> list[Shard]:
        """The shard settings, once for each part."""
        return [self.shard] * len(parts)

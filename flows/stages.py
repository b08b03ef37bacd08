"""The stages of one batch, in one list: each takes the tables made so far and adds its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from flows.runner import Runner
from scd_core.job import Job, Shard, boxes_of
from scd_core.masks.overlay_frames import of_deployments, overlay_frames
from scd_core.names import MediaStatus, Stage
from scd_core.storage import clean_url
from scd_core.tables.batches import Batch
from scd_core.tables.commit import adopt_commit
from scd_core.tables.rows import RunRow
from scd_core.tables.schema import empty_table
from tasks.classify import CLASSIFY
from tasks.commit import COMMIT
from tasks.ingest import DESCRIBE, FINISH_MEDIA
from tasks.mask import MASK
from tasks.reclassify import RECLASSIFY
from tasks.shards import cut
from tasks.triage import TRIAGE, confusions_of
from tasks.work import Work

__all__ = ["STAGES", "run_batch"]

MASK_SHARDS = 8
"""A mask costs tens of evaluations where a name costs one, so its shards are this many times smaller."""


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


def run_batch(job: Job, batch: Batch, runner: Runner, device: str) -> dict[str, Any]:
    """Take one batch through all stages and commit it.

    Args:
        job: the audit.
        batch: what of it.
        runner: runs the functions.
        device: that functions with the model compute on.

    Returns:
        The commit's content; that of another run where one has finished the batch since it was planned.
    """
    request = job.request
    if (done := adopt_commit(request.out, batch.batch_key)) is not None:
        return done
    started = datetime.now(UTC)
    classify = job.config.classify.model_copy(update={"device": device})
    config = job.config.model_copy(update={"classify": classify})
    shard = Shard(request.source, request.model, job.model_digest, request.out, batch.batch_key, config)
    state = BatchState(job, batch, shard, runner)
    for stage, function in STAGES.items():
        begun = time.monotonic()
        function(state)
        state.seconds[stage] = time.monotonic() - begun
    run: RunRow = {
        "run_id": runner.run_id,
        "model_digest": job.model_digest,
        "config_digest": job.config_digest,
        "source": clean_url(request.source),
        "started_at": started,
        "config": job.config.model_dump_json(),
        "individuals": sorted(set(job.spec.labels)),
        "device": device,
        "seconds": list(state.seconds.items()),
    }
    return runner.call(COMMIT, state.tables, batch, shard, run)


def _ingest(state: BatchState) -> None:
    """`media`: every object described, then duplicates, clocks and events over the whole batch."""
    size, objects = state.job.config.media.shard_size, state.batch.objects
    parts = [objects[start : start + size] for start in range(0, len(objects), size)]
    described = state.map(Stage.INGEST, DESCRIBE, parts, state.same(parts))
    state.tables["media"] = state.runner.call(FINISH_MEDIA, described, state.job.config.media)


def _classify(state: BatchState) -> None:
    """`predictions` of the usable media."""
    media = state.tables["media"]
    usable = list(
        cut(media.filter(pc.equal(media.column("status"), MediaStatus.OK)), state.job.config.media.shard_size)
    )
    boxes = [boxes_of(state.job, part.column("file").to_pylist()) for part in usable]
    named = state.map(Stage.CLASSIFY, CLASSIFY, usable, state.same(usable), boxes)
    state.tables["predictions"] = _together("predictions", named)


def _triage(state: BatchState) -> None:
    """`predictions` with reasons, controls and the selection to mask."""
    names, job = state.tables["predictions"], state.job
    with state.runner.progress.stage(Stage.TRIAGE, len(names)):
        state.tables["predictions"] = state.runner.call(
            TRIAGE, names, state.tables["media"], len(set(job.spec.labels)), state.shard, set(job.flags),
            confusions_of(state.shard),
        )  # fmt: skip


def _mask(state: BatchState) -> None:
    """`masks` of the selected predictions."""
    predictions, media = state.tables["predictions"], state.tables["media"]
    size = max(1, state.job.config.media.shard_size // MASK_SHARDS)
    state.selected = list(cut(predictions.filter(predictions.column("is_selected")), size))
    frames = overlay_frames(predictions, media)
    near = [of_deployments(frames, _media_of(media, part)) for part in state.selected]
    seen = [_media_of(media, part, near[number]) for number, part in enumerate(state.selected)]
    state.masks = state.map(Stage.MASK, MASK, state.selected, seen, near, state.same(state.selected))
    state.tables["masks"] = _together("masks", state.masks)


def _reclassify(state: BatchState) -> None:
    """`reclassifications` of the masked predictions."""
    of_shard = [_media_of(state.tables["media"], part) for part in state.selected]
    outcomes = state.map(
        Stage.RECLASSIFY, RECLASSIFY, state.selected, state.masks, of_shard, state.same(state.selected)
    )
    state.tables["reclassifications"] = _together("reclassifications", outcomes)


STAGES: dict[Stage, Callable[[BatchState], None]] = {
    Stage.INGEST: _ingest,
    Stage.CLASSIFY: _classify,
    Stage.TRIAGE: _triage,
    Stage.MASK: _mask,
    Stage.RECLASSIFY: _reclassify,
}
"""Every stage, in order."""


def _media_of(media: pa.Table, *predictions: pa.Table) -> pa.Table:
    """The media rows of some predictions."""
    wanted = pa.concat_arrays([part.column("media_id").combine_chunks() for part in predictions])
    return media.filter(pc.is_in(media.column("media_id"), wanted))


def _together(table: str, parts: list[pa.Table]) -> pa.Table:
    return pa.concat_tables(parts) if parts else empty_table(table)

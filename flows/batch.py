"""The stages of one batch, in order, as task runs over shards."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from flows.progress import Stages
from flows.runners import model_submits
from scd_core.job import Job, Shard, boxes_of
from scd_core.masks.overlay_frames import choose_overlay_frames, of_deployments
from scd_core.storage import clean_url
from scd_core.tables.batches import Batch
from scd_core.tables.commit import adopt_commit
from scd_core.tables.rows import RunRow
from scd_core.tables.schema import empty_table
from tasks.classify import classify_shard
from tasks.commit import commit_tables
from tasks.ingest import describe_shard, finish_media
from tasks.mask import mask_shard
from tasks.reclassify import reclassify_shard
from tasks.shards import cut
from tasks.triage import confusions_of, triage_batch

__all__ = ["run_batch"]

MASK_SHARDS = 8
"""A mask costs tens of evaluations where a name costs one, so its shards are this many times smaller."""


def run_batch(job: Job, batch: Batch, run_id: str, device: str) -> dict[str, Any]:
    """Take one batch through all stages and commit it.

    Args:
        job: the audit.
        batch: what of it.
        run_id: of the flow run.
        device: what tasks with the model compute on, as :func:`flows.runners.model_device` gave it.

    Returns:
        The commit's content; that of another run where one has finished the batch since it was planned.
    """
    if (done := adopt_commit(job.out, batch.batch_key)) is not None:
        return done
    started = datetime.now(UTC)
    classify = job.config.classify.model_copy(update={"device": device})
    config = job.config.model_copy(update={"classify": classify})
    shard = Shard(job.source, job.model, job.model_digest, job.out, batch.batch_key, config)
    size = job.config.media.shard_size
    stages = Stages(batch.batch_key)

    # Futures hold their results, so they are not kept beyond their stage: a batch is in memory once.
    parts = [batch.objects[start : start + size] for start in range(0, len(batch.objects), size)]
    with_status = stages.gather(
        "ingest",
        [describe_shard.submit(part, shard, number) for number, part in enumerate(parts)],
        [len(part) for part in parts],
    )
    media: pa.Table = finish_media(with_status, job.config.media)
    del with_status

    usable = list(cut(media.filter(pc.equal(media.column("status"), "ok")), size))
    with model_submits(device):
        named = [
            classify_shard.submit(part, shard, boxes_of(job, part.column("file").to_pylist()), number)
            for number, part in enumerate(usable)
        ]
    names = _together("predictions", stages.gather("classify", named, [len(part) for part in usable]))
    del named, usable
    with stages.stage("triage", len(names)):
        predictions: pa.Table = triage_batch(
            names, media, len(set(job.spec.labels)), shard, set(job.flags), confusions_of(shard)
        )

    selected = list(cut(predictions.filter(predictions.column("is_selected")), max(1, size // MASK_SHARDS)))
    of_shard = [_of(media, part) for part in selected]
    overlay_frames = choose_overlay_frames(predictions, media)
    seen = [of_deployments(overlay_frames, part) for part in of_shard]
    sizes = [len(part) for part in selected]
    with model_submits(device):
        fitted = [
            mask_shard.submit(part, _of(media, part, seen[number]), seen[number], shard, number)
            for number, part in enumerate(selected)
        ]
    masks = stages.gather("mask", fitted, sizes)
    del fitted
    with model_submits(device):
        again = [
            reclassify_shard.submit(part, masks[number], of_shard[number], shard, number)
            for number, part in enumerate(selected)
        ]
    outcomes = stages.gather("reclassify", again, sizes)
    del again

    tables = {
        "media": media,
        "predictions": predictions,
        "masks": _together("masks", masks),
        "reclassifications": _together("reclassifications", outcomes),
    }
    run: RunRow = {
        "run_id": run_id,
        "model_digest": job.model_digest,
        "config_digest": job.config_digest,
        "source": clean_url(job.source),
        "started_at": started,
        "config": job.config.model_dump_json(),
        "model_input": job.spec.input.model_dump_json(),
        "individuals": sorted(set(job.spec.labels)),
        "device": device,
        "seconds": list(stages.seconds.items()),
    }
    return commit_tables(tables, batch, shard, run)


def _of(media: pa.Table, *predictions: pa.Table) -> pa.Table:
    """The media rows of some predictions."""
    wanted = pa.concat_arrays([part.column("media_id").combine_chunks() for part in predictions])
    return media.filter(pc.is_in(media.column("media_id"), wanted))


def _together(table: str, parts: list[pa.Table]) -> pa.Table:
    return pa.concat_tables(parts) if parts else empty_table(table)

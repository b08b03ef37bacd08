"""One batch through all stages to its commit."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from flows.batch_state import BatchState
from flows.runner import Runner
from flows.stages import STAGES
from scd_core.inputs.counts import counts_as_json
from scd_core.job import Job, Shard
from scd_core.storage import clean_url
from scd_core.tables.batches import Batch
from scd_core.tables.commit import adopt_commit
from scd_core.tables.rows import RunRow
from tasks.commit import COMMIT

__all__ = ["run_batch"]


def run_batch(job: Job, batch: Batch, runner: Runner, device: str) -> dict[str, Any]:
    """Take one batch through all stages and commit it.

    Args:
        job: the audit.
        batch: what of it.
        runner: runs the functions.
        device: that functions with the model compute on; ``none`` without a model.

    Returns:
        The commit's content; that of another run where one has finished the batch since it was planned.
    """
    request = job.request
    if (done := adopt_commit(request.out, batch.batch_key)) is not None:
        return done
    started = datetime.now(UTC)
    config = job.config
    if job.spec is not None:
        config = config.model_copy(update={"classify": config.classify.model_copy(update={"device": device})})
    shard = Shard(
        request.source, request.model, job.model_digest, request.out, batch.batch_key, config, job.package_digest or ""
    )
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
        "individuals": sorted(job.names),
        "device": device,
        "model_name": job.model_name,
        "inputs": counts_as_json(job.joined.inputs),
        "seconds": list(state.seconds.items()),
        "lineages": list(job.lineages.items()) or None,
    }
    return runner.call(COMMIT, state.tables, batch, shard, run)

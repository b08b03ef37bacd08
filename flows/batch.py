"""One batch through all stages to its commit."""

from __future__ import annotations

from typing import Any

from flows.ahead import Ahead
from flows.runner import Runner
from flows.stages import STAGES
from scd_core.inputs.counts import counts_as_json
from scd_core.job import Job
from scd_core.names import Stage
from scd_core.storage import clean_url
from scd_core.tables.batches import Batch
from scd_core.tables.commit import adopt_commit
from scd_core.tables.rows import RunRow
from tasks.commit import COMMIT

__all__ = ["run_batch"]

_PLACE = ["camera_id", "site_id", "captured_at"]
"""Columns of `media` that individuals are expected by."""


def run_batch(job: Job, batch: Batch, runner: Runner, device: str, ahead: Ahead) -> dict[str, Any]:
    """Take one batch through all stages and commit it.

    Args:
        job: the audit.
        batch: what of it.
        runner: runs the functions.
        device: that functions with the model compute on; ``none`` without a model.
        ahead: begins with the next batch while this one's masks are made.

    Returns:
        The commit's content; that of another run where one has finished the batch since it was planned.
    """
    request = job.request
    if (done := adopt_commit(request.out, batch.batch_key)) is not None:
        return done
    state = ahead.state_of(batch)
    for stage, function in STAGES.items():
        if stage in state.seconds:
            continue
        with state.timed(stage):
            if stage == Stage.MASK:
                ahead.begin_after(batch)
            function(state)
    run: RunRow = {
        "run_id": runner.run_id,
        "model_digest": job.model_digest,
        "config_digest": job.config_digest,
        "source": clean_url(request.source),
        "started_at": state.started_at,
        "config": job.config.model_dump_json(),
        "individuals": sorted(job.names),
        "individuals_by_hash": job.searched.by_digest(state.tables["media"].select(_PLACE).to_pylist()),
        "device": device,
        "model_name": job.model_name,
        "inputs": counts_as_json(job.joined.inputs),
        "seconds": [*state.seconds.items(), *state.times()],
        "is_shadow": job.is_shadow,
        "lineages": list(job.lineages.items()) or None,
    }
    return runner.call(COMMIT, state.tables, batch, state.shard, run)

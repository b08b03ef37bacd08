"""The nightly run: whatever SOURCE holds that is not committed yet."""

from __future__ import annotations

from typing import Any

from prefect import flow, tags

from flows.audit_batch import audit_batch
from flows.deployed import alone_on, warn_of_other_version
from flows.runners import Runner, runner_for

__all__ = ["nightly_audit"]


@flow(
    name="nightly-audit",
    flow_run_name="nightly {source}",
    persist_result=False,
    retries=1,
    retry_delay_seconds=300,
    timeout_seconds=20 * 3600,
)
def nightly_audit(
    source: str,
    model: str,
    out: str,
    detections: str | None = None,
    config: str | dict[str, Any] | None = None,
    runner: Runner = "threads",
    ray_address: str | None = None,
) -> dict[str, Any]:
    """Audit all new objects of complete uploads below SOURCE; a night with nothing new does nothing and says so.

    Args and returns as for :func:`flows.audit_batch.audit_batch`; `runner` and `ray_address` as for
    :func:`flows.runners.runner_for`.
    """
    warn_of_other_version()
    with alone_on(source), tags("trapaudit"):  # by the tag a part of a lost run is found too
        return audit_batch.with_options(task_runner=runner_for(runner, ray_address))(
            source, model, out, detections, config=config, only_complete=True
        )

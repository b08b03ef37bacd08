"""The nightly run: whatever SOURCE holds that is not committed yet."""

from __future__ import annotations

from typing import Any

from prefect import flow, tags

from flows.audit_batch import Runner, audit_batch, runner_for
from flows.deployed import alone_on, warn_of_other_version

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
) -> dict[str, Any]:
    """Audit all new objects of complete uploads below SOURCE; a night with nothing new does nothing and says so.

    Args and returns as for :func:`flows.audit_batch.audit_batch`.
    """
    warn_of_other_version()
    with alone_on(source), tags("trapaudit"):  # by the tag a part of a lost run is found too
        return audit_batch.with_options(task_runner=runner_for(runner))(
            source, model, out, detections, config=config, only_complete=True
        )

"""The run that an upload wakes: what arrived since the last run is audited."""

from __future__ import annotations

from typing import Any

from prefect import flow, tags
from prefect.logging import get_run_logger

from flows.audit_batch import audit_batch
from flows.deployed import alone_on, warn_of_other_version
from flows.runners import Runner, runner_for

__all__ = ["audit_uploads"]


@flow(
    name="audit-uploads",
    flow_run_name="uploads {source}",
    persist_result=False,
    retries=1,
    retry_delay_seconds=60,
    timeout_seconds=12 * 3600,
)
def audit_uploads(
    source: str,
    model: str,
    out: str,
    detections: str | None = None,
    config: str | dict[str, Any] | None = None,
    runner: Runner = "threads",
    ray_address: str | None = None,
    only_complete: bool = False,
    report: bool = True,
    event: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Audit all new objects below SOURCE, woken by an upload's event, a poll, or by hand.

    The event is only a wake-up: SOURCE is listed and what is not committed yet is the work, so lost, doubled, late and
    reordered notifications change nothing.

    Args:
        source: fsspec URL or path of the images.
        model: URL or path of a model package.
        out: URL or path where the audit tables are kept.
        detections: URL of MegaDetector JSON or CSV.
        config: URL of a YAML or JSON file, or the settings themselves.
        runner: where shards are worked on.
        ray_address: of a Ray cluster, for the runner `ray`; None takes the variable RAY_ADDRESS of the worker.
        only_complete: leave uploads that are still under way to a later run; for polls, which come at any moment. The
            relay's events come when an upload has been quiet.
        report: refresh the error tables and the HTML report at the end; deployments leave that to `refresh-error-report`.
        event: payload of the event that woke the run; it is logged, and nothing else.

    Returns:
        As :func:`flows.audit_batch.audit_batch`.
    """
    warn_of_other_version()
    if event:
        get_run_logger().info(
            "woken by %s notifications of %s", event.get("n_notifications", "?"), event.get("prefix", "an upload")
        )
    flow_of_runner = audit_batch.with_options(task_runner=runner_for(runner, ray_address))
    with alone_on(source), tags("trapaudit"):  # by the tag a part of a lost run is found too
        return flow_of_runner(source, model, out, detections, config=config, only_complete=only_complete, report=report)

"""The run that an upload wakes: what arrived since the last run is audited."""

from __future__ import annotations

from typing import Any

from prefect import flow, tags
from prefect.logging import get_run_logger

from flows.audit import AuditResult
from flows.audit_batch import audit_batch
from flows.deployed import alone_on, warn_of_other_version
from flows.hand_over import listing_all
from flows.prefect_runner import task_runner_for
from scd_core.request import AuditRequest

__all__ = ["audit_uploads"]


@flow(
    name="audit-uploads",
    flow_run_name="uploads {request.source}",
    persist_result=False,
    retries=1,
    retry_delay_seconds=60,
    timeout_seconds=12 * 3600,
)
def audit_uploads(request: AuditRequest, event: dict[str, Any] | None = None) -> AuditResult:
    """Audit all new objects below SOURCE, woken by an upload's event, a poll, or by hand.

    The event is only a wake-up: SOURCE is listed and what is not committed yet is the work, so lost, doubled, late and
    reordered notifications change nothing.

    Args:
        request: what to audit. A poll comes at any moment, so its deployment sets `only_complete`; the relay's events come
            when an upload has been quiet. Deployments leave the report to `refresh-error-report`.
        event: payload of the event that woke the run; it is logged, and nothing else.

    Returns:
        As :func:`flows.audit.run_audit`.
    """
    warn_of_other_version()
    if event:
        get_run_logger().info(
            "woken by %s notifications of %s", event.get("n_notifications", "?"), event.get("prefix", "an upload")
        )
    of_runner = audit_batch.with_options(task_runner=task_runner_for(request))
    with alone_on(request.source), listing_all(), tags("trapaudit"):  # the tag also finds a part of a lost run
        return of_runner(request)

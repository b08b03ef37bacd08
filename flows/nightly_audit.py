"""The nightly run: whatever SOURCE holds that is not committed yet."""

from __future__ import annotations

from prefect import flow, tags

from flows.audit import AuditResult
from flows.audit_batch import audit_batch
from flows.deployed import alone_on, warn_of_other_version
from flows.prefect_runner import task_runner_for
from scd_core.request import AuditRequest

__all__ = ["nightly_audit"]


@flow(
    name="nightly-audit",
    flow_run_name="nightly {request.source}",
    persist_result=False,
    retries=1,
    retry_delay_seconds=300,
    timeout_seconds=20 * 3600,
)
def nightly_audit(request: AuditRequest) -> AuditResult:
    """Audit all new objects of complete uploads below SOURCE; a night with nothing new does nothing and says so.

    Args:
        request: what to audit; uploads that are still under way are always left to a later run.

    Returns:
        As :func:`flows.audit.run_audit`.
    """
    warn_of_other_version()
    of_runner = audit_batch.with_options(task_runner=task_runner_for(request))
    with alone_on(request.source), tags("trapaudit"):  # the tag also finds a part of a lost run
        return of_runner(request.model_copy(update={"only_complete": True}))

"""The main job: audit everything in SOURCE that is not committed yet."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.task_runners import ThreadPoolTaskRunner

from flows.audit import AuditResult, run_audit
from flows.hand_over import handed_over, lists_all
from flows.prefect_runner import PrefectRunner
from flows.progress import current_bars
from flows.threads_runner import THREADS
from flows.throughput import ARTIFACT, throughput_rows
from scd_core.job import prepare_job
from scd_core.request import AuditRequest
from scd_core.storage import clean_url

__all__ = ["audit_batch"]

threads: Any = ThreadPoolTaskRunner(max_workers=THREADS)


@flow(
    name="audit-batch",
    flow_run_name="audit {request.source}",
    task_runner=threads,
    persist_result=False,
)
def audit_batch(request: AuditRequest) -> AuditResult:
    """Ingest, classify, triage, mask, reclassify and commit what is new in SOURCE, then refresh the report.

    Args:
        request: what to audit; where shards are worked on is the flow's task runner.

    Returns:
        As :func:`flows.audit.run_audit`; raises as it does.
    """
    if lists_all():
        request = request.model_copy(update={"all_prefixes": True})
    job, listed = handed_over() or (prepare_job(request), None)
    result = run_audit(job, PrefectRunner(current_bars()), listed)
    _publish(result, clean_url(request.source))
    return result


def _publish(result: AuditResult, source: str) -> None:
    """Prefect artifacts: a summary in words and a table of the batches."""
    rows = [
        {"batch": commit["batch_key"], "date": commit["batch_date"], **commit["counts"]} for commit in result.batches
    ]
    if rows:
        create_table_artifact(key="audit-batches", table=rows, description=f"Batches audited of {source}")
    if speeds := throughput_rows(result.batches):
        create_table_artifact(key=ARTIFACT, table=speeds, description=f"Pictures a second, stage by stage, of {source}")
    lines = [f"# Audit of {source}", "", f"{result.n_objects} objects, {result.n_done} done before."]
    lines += [f"- batch `{row['batch']}`: {row['n_media']} media, {row['n_flagged']} flagged, {row['n_masks']} masks, "
              f"{row['n_flips']} names suggested, {row.get('n_failed', 0)} failed, {row['n_quarantined']} quarantined"
              for row in rows]  # fmt: skip
    if result.report:
        lines += ["", f"Report: {result.report['report']}"]
    if result.shadow:
        lines += ["", result.shadow.words]
    create_markdown_artifact(key="audit-summary", markdown="\n".join(lines), description="Run summary")

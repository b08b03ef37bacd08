"""The main job: audit everything in SOURCE that is not committed yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prefect import flow
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.task_runners import ThreadPoolTaskRunner

from flows.audit import AuditResult, run_audit
from flows.hand_over import handed_over, lists_all
from flows.prefect_runner import PrefectRunner
from flows.progress import current_bars
from flows.threads_runner import THREADS
from scd_core.job import prepare_job
from scd_core.names import Stage
from scd_core.request import AuditRequest
from scd_core.storage import clean_url

__all__ = ["audit_batch", "throughput_rows"]

_SHARES = {"waits_for_storage": "storage", "with_model": "model", "waits_for_gpu": "slot"}
"""Share of the tasks' time, as the view `throughput` names it -> how a commit names it."""

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


def throughput_rows(commits: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """How fast each stage of some batches was: pictures that it took, seconds, and pictures a second.

    Of the time of its tasks also the shares that they waited for the storage, worked with the model, and waited for a place on
    the GPU; None where they are not known.

    Args:
        commits: contents of commits; one of an earlier version has no times, and no rows here.
    """
    counted = {Stage.INGEST: "n_media", Stage.CLASSIFY: "n_ok", Stage.TRIAGE: "n_predictions"}
    rows = []
    for commit in commits:
        times = commit.get("seconds", {})
        for stage, seconds in times.items():
            if ":" in stage:
                continue
            n = commit["counts"][counted.get(stage, "n_masks")]
            speed = round(n / seconds, 2) if seconds else None
            batch = {"batch": commit["batch_key"], "stage": stage}
            rows.append(batch | {"pictures": n, "seconds": round(seconds, 1), "pictures_per_second": speed})
            of_tasks = times.get(f"{stage}:task")
            for column, name in _SHARES.items():
                rows[-1][column] = round(times[f"{stage}:{name}"] / of_tasks, 3) if of_tasks else None
    return rows


def _publish(result: AuditResult, source: str) -> None:
    """Prefect artifacts: a summary in words and a table of the batches."""
    rows = [
        {"batch": commit["batch_key"], "date": commit["batch_date"], **commit["counts"]} for commit in result.batches
    ]
    if rows:
        create_table_artifact(key="audit-batches", table=rows, description=f"Batches audited of {source}")
    if speeds := throughput_rows(result.batches):
        create_table_artifact(
            key="audit-throughput", table=speeds, description=f"Pictures a second, stage by stage, of {source}"
        )
    lines = [f"# Audit of {source}", "", f"{result.n_objects} objects, {result.n_done} done before."]
    lines += [f"- batch `{row['batch']}`: {row['n_media']} media, {row['n_flagged']} flagged, {row['n_masks']} masks, "
              f"{row['n_flips']} names suggested, {row.get('n_failed', 0)} failed, {row['n_quarantined']} quarantined"
              for row in rows]  # fmt: skip
    if result.report:
        lines += ["", f"Report: {result.report['report']}"]
    if result.shadow:
        lines += ["", result.shadow.words]
    create_markdown_artifact(key="audit-summary", markdown="\n".join(lines), description="Run summary")

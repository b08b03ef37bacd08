"""The main job: audit everything in SOURCE that is not committed yet."""

from __future__ import annotations

from typing import Any

from prefect import flow, runtime
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.logging import get_run_logger

from flows.batch import run_batch
from flows.logs import in_batch
from flows.refresh_error_report import refresh_error_report
from flows.runners import check_machines, model_device, runner_for
from scd_core.audit.labels.importing import import_labels
from scd_core.audit.report.state import is_report_current
from scd_core.job import list_job, plan_job, prepare_job
from scd_core.storage import clean_url

__all__ = ["audit_batch"]


@flow(
    name="audit-batch",
    flow_run_name="audit {source}",
    task_runner=runner_for("threads"),
    persist_result=False,
    validate_parameters=True,
)
def audit_batch(
    source: str,
    model: str,
    out: str,
    detections: str | None = None,
    labels: str | None = None,
    flags: str | None = None,
    config: str | dict[str, Any] | None = None,
    allow_unknown_labels: bool = False,
    only_complete: bool = False,
    report: bool = True,
) -> dict[str, Any]:
    """Ingest, classify, triage, mask, reclassify and commit what is new in SOURCE, then refresh the report.

    Args:
        source: fsspec URL or path of the images.
        model: URL or path of a model package.
        out: URL or path where the audit tables are kept.
        detections: URL of MegaDetector JSON or CSV.
        labels: URL of a CSV of human names.
        flags: URL of a CSV of files to look at.
        config: URL of a YAML or JSON file, or the settings themselves.
        allow_unknown_labels: accept labels of files not in SOURCE and of individuals the model does not know.
        only_complete: leave uploads that are still under way to a later run.
        report: refresh the error tables and the HTML report at the end.

    Returns:
        ``batches`` (the commits' contents), ``n_objects`` listed, ``n_done`` committed before, ``n_waiting`` for
        the rest of their upload, and ``report``.

    Raises:
        InputError: an input cannot be used.
        RunError: the work failed.
    """
    logger = get_run_logger()
    job = prepare_job(
        source, model, out, detections=detections, labels=labels, flags=flags, config=config,
        allow_unknown_labels=allow_unknown_labels,
    )  # fmt: skip
    device = model_device(job.config.classify.device)
    objects, n_waiting = list_job(job, only_complete=only_complete)
    batches = plan_job(job, objects)
    n_new = sum(len(batch.objects) for batch in batches)
    logger.info("%s: %d objects, %d new in %d batches", clean_url(source), len(objects), n_new, len(batches))
    if n_waiting:
        logger.info("%d objects wait until their upload is complete", n_waiting)
    if batches:
        check_machines(job, device, batches[0].objects)
    run_id = str(runtime.flow_run.get_id() or "")
    commits = []
    for batch in batches:
        logger.info("batch %s: %d objects of %s", batch.batch_key, len(batch.objects), batch.batch_date)
        with in_batch(batch.batch_key):
            commits.append(run_batch(job, batch, run_id, device))
            if not commits[-1]["is_ours"]:
                logger.info("batch %s: another run committed it first; its result stands", batch.batch_key)
    if job.labels_url is not None:
        imported = import_labels(out, job.labels_url)
        logger.info(
            "labels: %d new, %d held already, %d waiting", imported.n_rows, imported.n_repeated, imported.n_waiting
        )
    result: dict[str, Any] = {
        "batches": commits,
        "n_objects": len(objects),
        "n_done": len(objects) - n_new,
        "n_waiting": n_waiting,
        "report": None,
    }
    if report and (commits or job.labels_url is not None or not is_report_current(out)):
        result["report"] = refresh_error_report(out, config)
    _publish(result, source)
    return result


def _publish(result: dict[str, Any], source: str) -> None:
    """Prefect artifacts: a summary in words and a table of the batches."""
    rows = [
        {"batch": commit["batch_key"], "date": commit["batch_date"], **commit["counts"]} for commit in result["batches"]
    ]
    if rows:
        create_table_artifact(key="audit-batches", table=rows, description=f"Batches audited of {clean_url(source)}")
    lines = [f"# Audit of {clean_url(source)}", "", f"{result['n_objects']} objects, {result['n_done']} done before."]
    lines += [f"- batch `{row['batch']}`: {row['n_media']} media, {row['n_flagged']} flagged, {row['n_masks']} masks, "
              f"{row['n_flips']} names changed, {row.get('n_failed', 0)} failed, {row['n_quarantined']} quarantined"
              for row in rows]  # fmt: skip
    if result["report"]:
        lines += ["", f"Report: {result['report']['report']}"]
    create_markdown_artifact(key="audit-summary", markdown="\n".join(lines), description="Run summary")

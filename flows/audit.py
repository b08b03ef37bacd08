"""An audit from its request to its report: what the command line and every flow call, on whatever runner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from flows.logs import in_batch
from flows.runner import Runner
from flows.shadow import ShadowResult, run_shadow
from scd_core.audit.labels.checks import new_names_words
from scd_core.audit.labels.importing import import_labels
from scd_core.audit.report.state import is_report_current, mark_report, report_state
from scd_core.config import AuditConfig
from scd_core.inputs.counts import LABELS
from scd_core.job import Job, Listed, list_job, plan_job
from scd_core.storage.object_table import ObjectTable
from scd_core.tables.batches import Batch
from scd_core.tables.forgetting import drop_made
from scd_core.tables.id_set import IdSet, ids_of
from scd_core.tables.store import AuditStore, read_steadily

__all__ = ["AuditResult", "run_audit", "run_report"]


@dataclass(frozen=True)
class AuditResult:
    """What an audit did."""

    batches: list[dict[str, Any]]
    """Contents of the commits, each with ``is_ours``: False where another run committed the batch first."""
    n_objects: int
    """Objects listed and ready."""
    n_done: int
    """Of these, committed before."""
    n_waiting: int
    """Objects left for later, because their upload is not complete."""
    report: dict[str, Any] | None
    """What :func:`run_report` gave; None where there was nothing to report."""
    shadow: ShadowResult | None = None
    """What a second model did; None where none was named."""


def run_audit(job: Job, runner: Runner, listed: Listed | None = None) -> AuditResult:
    """Ingest, classify, triage, mask, reclassify and commit what is new in SOURCE, then refresh the report.

    Args:
        job: the request with its inputs read and checked, as :func:`scd_core.job.prepare_job` gives it.
        runner: runs the functions of the stages.
        listed: what SOURCE holds, where the caller has listed it.

    Raises:
        InputError: an input cannot be used.
        RunError: the work failed.
    """
    request, note = job.request, runner.progress.note
    # A worker without the GPU that it was promised ends here, before SOURCE is listed.
    device = None if listed else _device(job, runner)
    listed = listed or list_job(job)
    joined, n_waiting, n_objects = listed.joined, listed.n_waiting, listed.n_objects
    batches = plan_job(job := replace(job, joined=joined), listed.objects)
    n_new = _n_new(listed.objects, batches)
    for warning in (job.spec.strangers_warning if job.spec is not None else None, job.box_use_warning):
        if warning is not None:
            note(f"model {job.request.model}: {warning}")
    note(f"{n_new} of {n_objects} objects are new, in {len(batches)} {'batch' if len(batches) == 1 else 'batches'}")
    if (line := listed.closed_line()) is not None:
        note(line)
    if n_waiting:
        note(f"{n_waiting} objects wait until their upload is complete")
    for counts in joined.inputs:
        if counts.kind != LABELS:  # their import, at the end, knows the boxes as well
            note(counts.line())
    commits = _run_batches(job, batches, runner, device or _device(job, runner)) if batches else []
    if job.labels is not None:
        imported = import_labels(request.out, job.labels, is_decision=False)
        note(f"labels: {imported.n_rows} new, {imported.n_repeated} held already, {imported.n_waiting} waiting")
        held = next((one for one in joined.inputs if one.kind == LABELS), None)
        if (of_labels := imported.counts or held) is not None:
            note(of_labels.line())
        if imported.new_names:
            note(new_names_words(imported.new_names))
    report = None
    if request.report and (commits or request.labels is not None or not is_report_current(request.out)):
        report = run_report(request.out, job.config, runner)
    shadow = run_shadow(job, runner) if request.shadow is not None else None
    return AuditResult(commits, n_objects, n_objects - n_new, n_waiting, report, shadow)


def _n_new(objects: ObjectTable, batches: Sequence[Batch]) -> int:
    """How many of the objects are in the batches; one that was planned by an earlier run may be gone from SOURCE."""
    n_planned = sum(len(batch.objects) for batch in batches)
    if n_planned == len(objects) or not batches:
        return n_planned
    here = IdSet([ids_of(item.media_id for item in objects)])
    return sum(int(here.has([item.media_id for item in batch.objects]).sum()) for batch in batches)


def _device(job: Job, runner: Runner) -> str:
    """The device of the model; ``none`` where names were given and no model."""
    return "none" if job.spec is None else runner.model_device(job.config.classify.device)


def _run_batches(job: Job, batches: list[Batch], runner: Runner, device: str) -> list[dict[str, Any]]:
    """Take each batch through the stages; contents of the commits."""
    from flows.ahead import Ahead  # a run with nothing new needs none of it
    from flows.batch import run_batch

    runner.check_machines(job, device, batches[0].objects)
    commits = []
    with Ahead(job, batches, runner, device) as ahead:
        for batch in batches:
            runner.progress.note(f"batch {batch.batch_key}: {len(batch.objects)} objects of {batch.batch_date}")
            with in_batch(batch.batch_key):
                commits.append(run_batch(job, batch, runner, device, ahead))
            if not commits[-1]["is_ours"]:
                runner.progress.note(f"batch {batch.batch_key}: another run committed it first; its result stands")
    return commits


def run_report(out: str, config: AuditConfig, runner: Runner, models: tuple[str, str] | None = None) -> dict[str, Any]:
    """Write one snapshot of the derived tables and draw the report.

    Args:
        out: URL or path of the audit tables.
        config: thresholds of causes and slices.
        runner: runs the functions.
        models: two models to show side by side; None chooses them.

    Returns:
        ``report_id``, ``report`` (the page's address), and the totals that the page shows.
    """
    from tasks.report import DERIVE_ERRORS, DRAW_REPORT  # torch, as above

    def derive() -> dict[str, Any]:
        state = report_state(out)
        report_id = runner.call(DERIVE_ERRORS, out, config)
        drawn = runner.call(DRAW_REPORT, out, config, models)
        mark_report(out, state)
        return {"report_id": report_id} | drawn

    store = AuditStore(out)
    before = store.generation().number
    derived = read_steadily(store, derive)
    if store.generation().number != before:  # a page and kept rows from before may have what was forgotten since
        drop_made(store)
        derived = read_steadily(store, derive)
    return derived

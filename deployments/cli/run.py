"""`trapaudit run`, `nightly` and `report`: a request handed to its runner, and what came of it in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rich.console import Console

from scd_core.job import Job, Listed, list_job, prepare_job
from scd_core.request import AuditRequest, settings_of
from scd_core.storage import clean_url

if TYPE_CHECKING:
    from flows.audit import AuditResult

__all__ = ["run_report_command", "run_request"]

# Flows, and with them torch, are imported inside the functions: bad input ends before seconds of imports.


def run_request(console: Console, request: AuditRequest, *, is_nightly: bool = False) -> AuditResult:
    """Run an audit with bars, and print its result; bad input ends in its one line, before anything is printed.

    Args:
        console: where bars and results go.
        request: what to audit.
        is_nightly: run what a night runs: uploads that are still under way are left to a later run.

    Raises:
        TrapauditError: bad input, or failed work.
    """
    if is_nightly:
        request = request.model_copy(update={"only_complete": True})
    with console.status("reading the request and listing SOURCE"):  # only a terminal shows it
        job = prepare_job(request)
        listed = list_job(job)
    run = _run_here if request.runner == "threads" else _prefect_run(is_nightly, request)
    line = f"audit of {clean_url(request.source)} ({listed.n_objects} objects) into {clean_url(request.out)}"
    console.print(line, markup=False, highlight=False, soft_wrap=True)
    result = run(console, job, listed)
    _print_result(console, result)
    return result


def run_report_command(console: Console, out: str, config: str | None, models: tuple[str, str] | None = None) -> None:
    """Rebuild the derived tables and the page, and print what was found and the page's address."""
    from scd_core.config import AuditConfig

    settings = settings_of(config, AuditConfig())
    from flows.audit import run_report
    from flows.progress import Bars
    from flows.threads_runner import ThreadsRunner

    _print_report(console, run_report(out, settings, ThreadsRunner(Bars(console)), models))


def _run_here(console: Console, job: Job, listed: Listed) -> AuditResult:
    """Run on threads of this process."""
    from flows.audit import run_audit
    from flows.progress import Bars
    from flows.threads_runner import ThreadsRunner

    return run_audit(job, ThreadsRunner(Bars(console)), listed)


def _prefect_run(is_nightly: bool, request: AuditRequest) -> Callable[[Console, Job, Listed], AuditResult]:
    """What runs as Prefect flow; a cluster's address that cannot be used ends here."""
    from flows.audit_batch import audit_batch
    from flows.hand_over import hand_over
    from flows.nightly_audit import nightly_audit
    from flows.prefect_runner import task_runner_for
    from flows.progress import show_bars

    of_runner = audit_batch.with_options(task_runner=task_runner_for(request))
    flow = nightly_audit.with_options(retries=0) if is_nightly else of_runner  # at a terminal a failure shows at once

    def run(console: Console, job: Job, listed: Listed) -> AuditResult:
        with show_bars(console), hand_over(job, listed):
            return flow(job.request)

    return run


def _print_result(console: Console, result: AuditResult) -> None:
    """Print what a run did, batch by batch."""
    if not result.batches:
        console.print(f"nothing to do: all {result.n_objects} objects are committed already")
    for commit in result.batches:
        counts = commit["counts"]
        console.print(
            f"batch {commit['batch_key']} ({commit['batch_date']}): {counts['n_media']} media, "
            f"{counts['n_quarantined']} quarantined, {counts['n_predictions']} predictions, {counts['n_flagged']} flagged, "
            f"{counts['n_masks']} masks, {counts['n_flips']} names suggested",
            highlight=False,
            soft_wrap=True,
        )
        if n := counts.get("n_failed"):
            failed = "prediction or mask" if n == 1 else "predictions or masks"
            console.print(f"  {n} {failed} failed; `failure_reason` says why for each")
        if n := counts.get("n_not_available"):
            masks = "mask is" if n == 1 else "masks are"
            console.print(f"  {n} {masks} not available; `failure_reason` says why for each", highlight=False)
        if counts["n_ok"] == 0:
            console.print("  no image of this batch could be used; `media` says why for each")
    if result.report:
        _print_report(console, result.report)
    if result.shadow:
        console.print(result.shadow.words, markup=False, highlight=False, soft_wrap=True)


def _print_report(console: Console, derived: dict[str, Any]) -> None:
    console.print(
        f"{derived['n_labelled']} labelled: {derived['n_errors']} wrong, {derived['n_recovered']} corrected by masks, "
        f"{derived['n_broken']} made worse; {derived['n_suspected']} more suspected; "
        f"{derived['n_systematic']} systematic {'error' if derived['n_systematic'] == 1 else 'errors'}",
        highlight=False,
        soft_wrap=True,
    )
    console.print(f"names after re-classification: {derived['certificate_words']}", highlight=False, soft_wrap=True)
    if derived["n_labelled"]:
        console.print(f"wrong names: {derived['rate_words']}", highlight=False, soft_wrap=True)
    console.print(f"report: {derived['report']}", highlight=False, soft_wrap=True)

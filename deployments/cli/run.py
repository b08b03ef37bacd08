"""What the commands do: check first, then run a flow, then say what came of it."""

from __future__ import annotations

from typing import Any, Literal

from rich.console import Console

from scd_core.audit.report.state import is_report_current
from scd_core.job import count_new, list_job, prepare_job

__all__ = ["rebuild_report", "run_audit", "run_nightly", "say"]

# Prefect and torch are imported inside the functions: bad input, or nothing to do, is told before seconds of imports.


def run_audit(
    console: Console, runner: Literal["threads", "ray"], ray_address: str | None = None, **parameters: Any
) -> dict[str, Any]:
    """Run the flow `audit_batch` with bars, and print its result.

    Raises:
        TrapauditError: bad input, found before a Prefect server is started, or failed work.
    """
    job = prepare_job(**parameters)
    objects, _ = list_job(job)
    if count_new(job, objects) or job.labels_url is not None or not is_report_current(parameters["out"]):
        from flows.audit_batch import audit_batch
        from flows.progress import show_bars
        from flows.runners import runner_for

        flow = audit_batch.with_options(task_runner=runner_for(runner, ray_address))
        with show_bars(console):
            result = flow(**parameters)
    else:
        result = {"batches": [], "n_objects": len(objects), "n_waiting": 0, "report": None}
    say(console, result)
    return result


def run_nightly(
    console: Console, runner: Literal["threads", "ray"], ray_address: str | None = None, **parameters: Any
) -> None:
    """Run the flow `nightly_audit` with bars, and print its result.

    Raises:
        TrapauditError: bad input, found before a Prefect server is started, or failed work.
    """
    prepare_job(**parameters)
    from flows.nightly_audit import nightly_audit
    from flows.progress import show_bars
    from flows.runners import runner_for

    runner_for(runner, ray_address)
    with show_bars(console):
        nightly = nightly_audit.with_options(retries=0)  # who waits is told at once
        say(console, nightly(**parameters, runner=runner, ray_address=ray_address))


def rebuild_report(console: Console, out: str, config: str | None) -> None:
    """Run the flow `refresh_error_report`, and print what it found and the page's address."""
    from flows.progress import show_bars
    from flows.refresh_error_report import refresh_error_report

    with show_bars(console):
        _say_report(console, refresh_error_report(out, config))


def say(console: Console, result: dict[str, Any]) -> None:
    """Print what a run did, batch by batch."""
    if not result["batches"]:
        console.print(f"nothing to do: all {result['n_objects']} objects are committed already")
    if result["n_waiting"]:
        console.print(f"{result['n_waiting']} objects wait until their upload is complete")
    for commit in result["batches"]:
        counts = commit["counts"]
        if not commit["is_ours"]:
            console.print(f"batch {commit['batch_key']}: another run committed it first; its result stands")
        console.print(
            f"batch {commit['batch_key']} ({commit['batch_date']}): {counts['n_media']} media, "
            f"{counts['n_quarantined']} quarantined, {counts['n_predictions']} predictions, {counts['n_flagged']} flagged, "
            f"{counts['n_masks']} masks, {counts['n_flips']} names changed",
            highlight=False,
        )
        if counts.get("n_failed"):
            console.print(f"  {counts['n_failed']} predictions or masks failed; `failure_reason` says why for each")
        if counts["n_ok"] == 0:
            console.print("  no image of this batch could be used; `media` says why for each")
    if result["report"]:
        _say_report(console, result["report"])


def _say_report(console: Console, derived: dict[str, Any]) -> None:
    console.print(
        f"{derived['n_labelled']} labelled: {derived['n_errors']} wrong, {derived['n_recovered']} corrected by masks, "
        f"{derived['n_broken']} made worse; {derived['n_suspected']} more suspected; "
        f"{derived['n_systematic']} systematic errors",
        highlight=False,
    )
    console.print(f"report: {derived['report']}", highlight=False, soft_wrap=True)

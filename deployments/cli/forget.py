"""`trapaudit forget`: pictures leave an audit for good."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from deployments.cli.printable import say
from scd_core.errors import InputError

if TYPE_CHECKING:
    from scd_core.audit.forget.forget import Chosen
    from scd_core.tables.forgetting import Forgotten

__all__ = ["forget"]

console = Console(stderr=True)
_say = partial(say, console)
_SHOWN = 10

_Out = Annotated[str, typer.Argument(metavar="OUT", help="URL or path of the audit tables", show_default=False)]
_Media = Annotated[list[str] | None, typer.Option("--media", metavar="ID", help="media_id; may be repeated")]
_File = Annotated[
    list[str] | None,
    typer.Option("--file", metavar="PATTERN", help="path relative to SOURCE, or address; * is anything"),
]
_Camera = Annotated[list[str] | None, typer.Option("--camera", metavar="C", help="all pictures of a camera so far")]
_Batch = Annotated[list[str] | None, typer.Option("--batch", metavar="KEY", help="all pictures of a batch")]
_Before = Annotated[
    str | None, typer.Option("--before", metavar="DATE", help="pictures captured before the day, such as 2025-01-01")
]


def forget(
    out: _Out,
    media: _Media = None,
    file: _File = None,
    camera: _Camera = None,
    batch: _Batch = None,
    before: _Before = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would go, and change nothing")] = False,
) -> None:
    """Remove pictures, and all that was made of them, from every file of OUT, and keep them from coming back."""
    from scd_core.audit.forget.forget import choose_forgotten, forget_chosen
    from scd_core.names import ForgetBy

    given = {
        ForgetBy.MEDIA: media,
        ForgetBy.FILE: file,
        ForgetBy.CAMERA: camera,
        ForgetBy.BATCH: batch,
        ForgetBy.BEFORE: [before] if before else None,
    }
    wanted = [(by, values) for by, values in given.items() if values]
    if len(wanted) != 1:
        raise InputError("forget: give one of --media, --file, --camera, --batch and --before")
    chosen = choose_forgotten(out, *wanted[0])
    _print_chosen(chosen, out)
    if dry_run:
        _say("nothing was changed (--dry-run)")
        return
    done = forget_chosen(out, chosen)
    _print_done(done, out)
    if done.number:
        _draw_report(out)


def _print_chosen(chosen: Chosen, out: str) -> None:
    if not chosen:
        near = f"; did you mean {', '.join(chosen.near)}?" if chosen.near else ""
        _say(f"OUT {out}: holds nothing of it{near}")
        return
    n = len(chosen.media)
    planned = f", {chosen.n_planned} of them of batches that are not finished" if chosen.n_planned else ""
    batches = "1 batch" if len(chosen.batches) == 1 else f"{len(chosen.batches)} batches"
    _say(f"{n} {'picture' if n == 1 else 'pictures'} in {batches}{planned}")
    for one in chosen.media[:_SHOWN]:
        _say(f"  {one.media_id}  {one.file}")
    if n > _SHOWN:
        _say(f"  and {n - _SHOWN} more")
    for file in chosen.label_files[:_SHOWN]:
        _say(f"  a label of {file}")


def _print_done(done: Forgotten, out: str) -> None:
    from scd_core.tables.store import AuditStore

    if not done.number:
        _say("nothing was to be removed")
        return
    rows = ", ".join(f"{n} of {table}" for table, n in sorted(done.rows.items()) if n)
    _say(f"removed: {rows or 'no rows'}; receipt: {out.rstrip('/')}/forgotten/{done.number:06}.json")
    if done.n_copies:
        _say(f"{done.n_copies} copies of the same bytes under other names are not forgotten; the next run audits them")
    if AuditStore(out).storage.has_versions():
        _say("the bucket keeps versions: older versions of OUT's files hold what was forgotten until they are deleted")
    _say("SOURCE, exports and copies of OUT are not touched: what they hold of it is yours to delete")


def _draw_report(out: str) -> None:
    """Derive errors, slices and page from what is left, with the settings of the newest run."""
    from flows.audit import run_report
    from flows.progress import Bars
    from flows.threads_runner import ThreadsRunner
    from scd_core.audit.forget.forget import newest_config

    if (config := newest_config(out)) is None:
        _say("no picture is left, so there is no report")
        return
    _say(f"report: {run_report(out, config, ThreadsRunner(Bars(console)))['report']}")

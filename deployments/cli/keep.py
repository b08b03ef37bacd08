"""`trapaudit prune` and `trapaudit repair`: what OUT no longer needs, and what it has lost."""

from __future__ import annotations

import re
from datetime import timedelta
from functools import partial
from typing import Annotated

import typer
from rich.console import Console

from deployments.cli.printable import say
from scd_core.errors import InputError

__all__ = ["prune", "repair"]

console = Console(stderr=True)
_say = partial(say, console)
_UNITS = {"h": 1 / 24, "d": 1.0, "w": 7.0, "y": 365.0}

_Out = Annotated[str, typer.Argument(metavar="OUT", help="URL or path of the audit tables", show_default=False)]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="say what would be done, and change nothing")]


def prune(
    out: _Out,
    keep_reports: Annotated[
        str, typer.Option("--keep-reports", metavar="AGE", help="age up to which reports' tables stay: 90d, 12w, 1y")
    ] = "90d",
    keep_work: Annotated[
        str, typer.Option("--keep-work", metavar="AGE", help="age up to which unfinished work stays")
    ] = "7d",
    dry_run: _DryRun = False,
) -> None:
    """Remove what nobody needs any more from OUT; rows of batches and labels stay."""
    from scd_core.tables.keeping import prune_out
    from scd_core.tables.store import AuditStore

    store = AuditStore(out)
    reports, work = _age("--keep-reports", keep_reports), _age("--keep-work", keep_work)
    store.check_begun()
    pruned = prune_out(store, reports, work, dry_run=dry_run)
    for kind, n in sorted(pruned.files.items()):
        _say(f"{kind}: {n} files, {pruned.size_bytes[kind] / 1e6:.1f} MB")
    if not pruned.files:
        _say("nothing to remove")
    elif dry_run:
        _say("nothing was changed (--dry-run)")


def repair(out: _Out, dry_run: _DryRun = False) -> None:
    """Find files that are gone or damaged, and let their batches be audited again."""
    from scd_core.audit.errors.certificates import CERTIFICATES, certificate_of
    from scd_core.audit.improvements import IMPROVEMENTS, records_of
    from scd_core.tables.keeping import find_lost, repair_out
    from scd_core.tables.store import AuditStore

    store = AuditStore(out)
    store.check_begun()
    lost = find_lost(store, {IMPROVEMENTS: records_of, CERTIFICATES: certificate_of})
    for key, files in sorted(lost.batches.items()):
        _say(f"batch {key}: {', '.join(files)} gone or damaged")
    for file in lost.reports:
        _say(f"report: {file} gone or damaged")
    for file in lost.notes:
        _say(f"{file} damaged; it is dropped, and the next report, or `trapaudit improve`, makes a new one")
    if not lost:
        _say("every file that counts is there and can be read")
        return
    if dry_run:
        _say("nothing was changed (--dry-run)")
    elif lost.batches or lost.reports or lost.notes:
        repair_out(store, lost)
    if not dry_run and (lost.batches or lost.reports):
        _say(
            "next: run trapaudit with the same SOURCE, MODEL and settings; it audits these pictures again and draws the report"
        )
    if lost.labels:
        for file in lost.labels:
            _say(f"labels: {file} gone or damaged; restore it from a backup, or delete it and import its labels again")
        raise typer.Exit(1)


def _age(option: str, text: str) -> timedelta:
    found = re.fullmatch(r"(\d{1,5})([hdwy])", text.strip())
    if found is None:
        raise InputError(f"{option} {text}: is no age; give a number with h, d, w or y, such as 90d")
    return timedelta(days=int(found[1]) * _UNITS[found[2]])

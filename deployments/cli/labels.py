"""`trapaudit labels import`, `list` and `undo`: names given by people."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, Literal

import typer
from rich.console import Console

from deployments.cli import options
from deployments.cli.printable import printable, say

__all__ = ["labels_app"]

console = Console(stderr=True)
_say = partial(say, console)
labels_app = typer.Typer(help="Human truth.", no_args_is_help=True)

_Out = Annotated[str, typer.Argument(metavar="OUT", help="URL or path of the audit tables", show_default=False)]


@labels_app.command("import")
def import_labels(
    out: _Out,
    file: Annotated[
        str,
        typer.Argument(
            help="CSV, Timelapse, Camtrap DP or Label Studio, or JSON that a person wrote or checked",
            show_default=False,
        ),
    ],
    column: options.Column = None,
    by_person: options.ByPerson = False,
    allow_new_names: options.AllowNewNames = False,
    allow_waiting: Annotated[
        bool, typer.Option("--allow-waiting", help="accept a file of which OUT knows no picture yet")
    ] = False,
) -> None:
    """Add human labels; the next report uses them."""
    from scd_core.audit.labels.checks import new_names_words, strange_files
    from scd_core.audit.labels.importing import import_labels as do_import
    from scd_core.inputs.labels import read_labels
    from scd_core.tables.store import AuditStore

    source = read_labels(file, column=column, by_person=by_person)
    result = do_import(out, source, allow_waiting=allow_waiting, allow_new_names=allow_new_names)
    if result.new_names:
        _say(new_names_words(result.new_names))
    _say(
        f"{_labels(result.n_rows)} written ({result.n_known_media} of media seen, {result.n_waiting} waiting for theirs), "
        f"{result.n_repeated} held already"
    )
    if result.counts is not None:
        _say(result.counts.line())
    for line in result.conflicts:
        _say(f"labels contradict each other, and none of them counts: {line}")
    for file in result.ambiguous:
        _say(f"{file} fits several pictures, and its label waits: give more of the path")
    if result.n_known_media or AuditStore(out).committed_keys():
        if result.waiting:
            waits = "its label waits" if len(result.waiting) == 1 else "their labels wait"
            _say(f"{strange_files(result.waiting, 'OUT')}; {waits}")
        if result.n_rows:
            _say(
                f"to take {'it' if result.n_rows == 1 else 'them'} back: trapaudit labels undo {out} {result.import_id}"
            )
        _say(f"next: trapaudit report {out}")
    else:
        _say(f"OUT {out} holds no audit yet: is it the right place?")
        _say("The labels wait there for one")


@labels_app.command("list")
def list_labels(
    out: _Out,
    output: Annotated[Literal["table", "csv", "json"], typer.Option("--format", help="how rows are printed")] = "table",
) -> None:
    """List the imports of labels: when, which file, who labelled, how many, how many count, what was left out, whether undone."""
    from deployments.cli.answers import print_rows
    from scd_core.audit.labels.importing import list_imports

    imports = list_imports(out)
    if output != "table":
        print_rows(imports, output)
        return
    for row in imports.to_pylist():
        print(_import_line(row))
    if not len(imports):
        _say(f"{out}: no labels were imported")


@labels_app.command("undo")
def undo_labels(
    out: _Out,
    import_id: Annotated[
        str,
        typer.Argument(
            metavar="IMPORT", help="import_id of `labels list`; its first digits will do", show_default=False
        ),
    ],
) -> None:
    """Undo an import of labels: its rows stay in the table, and none of them counts."""
    from scd_core.audit.labels.importing import undo_import

    n = undo_import(out, import_id)
    _say(f"{_labels(n)} undone; what had been replaced by {'it' if n == 1 else 'them'} counts again")
    _say(f"next: trapaudit report {out}")


def _import_line(row: Mapping[str, Any]) -> str:
    """An import in one line, in the order in which a narrow screen may cut it: id, time, who, how many, file, the rest."""
    from scd_core.inputs.counts import counts_from_json

    count = f"{row['n_count']} count" if row["n_count"] != row["n_labels"] and not row["undone_at"] else ""
    waiting = f"{row['n_waiting']} waiting" if row["n_waiting"] else ""
    rest = ", ".join(part for part in (count, waiting) if part)
    left_out = "; ".join(note for counts in counts_from_json(row["counts"]) for note in counts.notes)
    undone = f"undone {row['undone_at']:%Y-%m-%d}" if row["undone_at"] else ""
    parts = (
        row["import_id"],
        f"{row['imported_at']:%Y-%m-%d %H:%M}",
        row["labelled_by"] or "-",
        f"{_labels(row['n_labels'])}{f' ({rest})' if rest else ''}",
        row["file"] or "unnamed file",
        f"left out: {left_out}" if left_out else "",
        undone,
    )
    return printable("  ".join(part for part in parts if part))


def _labels(n: int) -> str:
    return f"{n} {'label' if n == 1 else 'labels'}"

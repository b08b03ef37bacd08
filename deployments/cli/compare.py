"""`trapaudit compare`: two models side by side, and one last line that says what to do."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scd_core.errors import InputError
from scd_core.inputs.csv import safe_cell, safe_path
from scd_core.label_names import LabelList

if TYPE_CHECKING:
    from scd_core.audit.compare.models import Comparison

__all__ = ["EXIT_CODES", "compare", "list_to_label", "write_file"]

EXIT_CODES = {"promote": 0, "do not promote": 3, "label more": 4}
"""Of the verdict; 1 and 2 are failed work and bad input, as of every command."""


def compare(
    out: Annotated[str, typer.Argument(metavar="OUT", help="URL or path of the audit tables", show_default=False)],
    old: Annotated[
        str,
        typer.Argument(metavar="OLD", help="model in use: digest, the beginning of one, or name", show_default=False),
    ],
    new: Annotated[str, typer.Argument(metavar="NEW", help="model that may replace it", show_default=False)],
    file: Annotated[
        str | None,
        typer.Option("--out", help="FILE.json: all of it; FILE.csv: the pictures to label", show_default=False),
    ] = None,
    config: Annotated[
        str | None, typer.Option("--config", help="YAML or JSON file of settings (docs/config.md)")
    ] = None,
) -> None:
    """Compare two models on the same labelled visits; exit code 0 promote, 3 do not promote, 4 label more."""
    from deployments.cli.printable import printable
    from scd_core.audit.compare.models import compare_models
    from scd_core.audit.compare.sentences import comparison_lines
    from scd_core.config import AuditConfig
    from scd_core.request import settings_of

    if file is not None and not file.lower().endswith((".json", ".csv")):
        raise InputError(f"--out {file}: expected a file that ends in .json or .csv")
    found = compare_models(out, old, new, settings_of(config, AuditConfig()))
    if file is not None:
        write_file(file, _as_json(found) if file.lower().endswith(".json") else _as_csv(found))
    for line in comparison_lines(found):
        typer.echo(printable(line))
    raise typer.Exit(EXIT_CODES[found.verdict])


def write_file(file: str, text: str) -> None:
    """Write a text to a path or URL."""
    from scd_core.storage import open_source

    folder, _, name = file.replace("\\", "/").rpartition("/")
    storage = open_source(folder or ("/" if file.startswith("/") else "."))
    storage.put(storage.path(name), text.encode())


def _as_json(found: Comparison) -> str:
    from deployments.cli.answers import plain_value

    return json.dumps(plain_value(found.as_dict()), ensure_ascii=False, indent=1) + "\n"


def _as_csv(found: Comparison) -> str:
    return list_to_label(found.to_label[: found.n_needed], LabelList.COMPARE)


def list_to_label(rows: Sequence[Mapping[str, Any]], kind: LabelList) -> str:
    """The pictures to label as CSV, with an empty column for the name, as `labels import` reads it.

    Args:
        rows: `file`, `detection_id` and, where they are known, `old_id` and `new_id` of each.
        kind: which list it is.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["file", "detection_id", "individual_id", "old_id", "new_id", "review_queue"])
    for row in rows:
        names = safe_cell(row.get("old_id") or ""), safe_cell(row.get("new_id") or "")
        writer.writerow([safe_path(row["file"]), row["detection_id"] or "", "", *names, kind])
    return text.getvalue()

"""`trapaudit compare`: two models side by side, and one last line that says what to do."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Annotated

import typer

from scd_core.errors import InputError

if TYPE_CHECKING:
    from scd_core.audit.compare.groups import Group
    from scd_core.audit.compare.models import Comparison

__all__ = ["EXIT_CODES", "compare"]

EXIT_CODES = {"promote": 0, "do not promote": 3, "label more": 4}
"""Of the verdict; 1 and 2 are failed work and bad input, as of every command."""
_SHOWN = 10


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
    from scd_core.config import AuditConfig
    from scd_core.request import settings_of

    if file is not None and not file.lower().endswith((".json", ".csv")):
        raise InputError(f"--out {file}: expected a file that ends in .json or .csv")
    found = compare_models(out, old, new, settings_of(config, AuditConfig()))
    if file is not None:
        _write(file, _as_json(found) if file.lower().endswith(".json") else _as_csv(found))
    for line in _lines(found):
        typer.echo(printable(line))
    raise typer.Exit(EXIT_CODES[found.verdict])


def _write(file: str, text: str) -> None:
    from scd_core.storage import open_source

    folder, _, name = file.replace("\\", "/").rpartition("/")
    storage = open_source(folder or ("/" if file.startswith("/") else "."))
    storage.put(storage.path(name), text.encode())


def _as_json(found: Comparison) -> str:
    from deployments.cli.answers import plain_value

    return json.dumps(plain_value(found.as_dict()), ensure_ascii=False, indent=1) + "\n"


def _as_csv(found: Comparison) -> str:
    """The pictures to label, with an empty column for the name, as `labels import` reads it."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["file", "detection_id", "individual_id", "old_id", "new_id", "review_queue"])
    for row in found.to_label[: found.n_needed]:
        writer.writerow([row["file"], row["detection_id"] or "", "", row["old_id"], row["new_id"], "compare"])
    return text.getvalue()


def _lines(found: Comparison) -> list[str]:
    from scd_core.audit.wording import percent, plural

    visits = found.visits
    lines = [
        f"old: {found.old}",
        f"new: {found.new}",
        f"{found.n_pictures} labelled {plural(found.n_pictures, 'picture', 'pictures')} in {visits.n} "
        f"{plural(visits.n, 'visit', 'visits')} named by both; {found.n_only_old} by the old model alone, "
        f"{found.n_only_new} by the new one alone, which do not count",
    ]
    counts = (visits.both, visits.only_old, visits.only_new, visits.neither)
    for words, n, share in zip(
        ("both right", "only old right", "only new right", "neither right"), counts, visits.shares
    ):
        lines.append(f"  {words:<16}{n:>6} {plural(n, 'visit', 'visits'):<7}{percent(share):>8} of events")
    difference = ("+" if visits.difference > 0 else "-" if visits.difference < 0 else "") + percent(
        abs(visits.difference)
    )
    lines.append(
        f"wrong names: old {percent(visits.old_rate)}, new {percent(visits.new_rate)} of events; difference {difference} "
        f"({100 * visits.low:+.1f} % to {100 * visits.high:+.1f} %); McNemar p {visits.p_value:.2g}"
    )
    lines += [f"better: {_group_words(one, one.q_better)}" for one in found.better] or ["better: no group, proved"]
    lines += [f"worse: {_group_words(one, one.q_worse)}" for one in found.worse] or ["worse: no group, proved"]
    lines += [
        f"systematic error {one.change}: {one.title}; of {one.n} visits the old model errs on {one.old_errors}, the new one on "
        f"{one.new_errors}"
        for one in found.slices
    ]
    errors = [_calibration(side.calibration_error) for side in (found.old_side, found.new_side)]
    lines.append(f"calibration error: old {errors[0]}, new {errors[1]}")
    for words, name in (("called unknown", "n_called_unknown"), ("known called unknown", "n_splits"),
                        ("unknown called known", "n_combinations"), ("without a name", "n_unnamed")):  # fmt: skip
        lines.append(f"{words}: old {getattr(found.old_side, name)}, new {getattr(found.new_side, name)} pictures")
    for row in found.to_label[: min(_SHOWN, found.n_needed)]:
        box = f" box {row['detection_id']}" if row["detection_id"] is not None else ""
        lines.append(f"label: {row['file']}{box} (old {row['old_id']}, new {row['new_id']})")
    if found.n_needed > _SHOWN:
        lines.append(f"label: {found.n_needed - _SHOWN} more; --out FILE.csv writes the whole list")
    return [*lines, found.last_line]


def _group_words(group: Group, q: float) -> str:
    return f"{group.title}: {group.mended} mended, {group.spoilt} spoilt of {group.n} visits, q {q:.2g}"


def _calibration(value: float | None) -> str:
    from scd_core.audit.wording import percent

    return "not known (no probabilities)" if value is None else percent(value)

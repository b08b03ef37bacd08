"""The generated parts of docs/reclassify.md and docs/research/reclassify.md: tables from the results files.

python -m benchmarks.reclassify.docs [--check]
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.docs_page import NO_RESULT, RESULTS, cell, page_options, read_result, rewrite, source_line, table
from benchmarks.reclassify.decide import VIT_COLUMNS
from scd_core.audit.slices.statistics import wilson_interval
from scd_core.config import ReclassifyConfig
from scd_core.names import Strategy

__all__ = ["BEGIN", "END", "PAGE", "RESEARCH", "all_tables", "main", "short_tables"]

BEGIN = (
    "<!-- benchmark tables: written by `python -m benchmarks.reclassify.docs` from benchmarks/results; do not edit -->"
)
END = "<!-- end of benchmark tables -->"
PAGE, RESEARCH = "reclassify.md", "research/reclassify.md"
"""Below docs: for users, and with everything that was measured."""

_TITLES = {
    "scenes": "Scenes, boxes known: shortcut errors",
    "scenes, no boxes": "Scenes, no boxes: shortcut errors",
    "scenes, other errors": "Scenes, boxes known: errors that are no shortcut",
    "scenes, no boxes, other errors": "Scenes, no boxes: errors that are no shortcut",
    "scenes, boxes as pictures, other errors": "Scenes, each box a picture of its own: all errors are such that are no shortcut",
    "jaguar": "Jaguar photographs, no boxes",
    "jaguar, boxes": "Jaguar photographs, a detector's boxes",
    "imagenet animals": "ImageNet animals, no boxes",
}
"""Pictures of the rows -> heading."""


_SHORT = {
    "jaguar": "jaguars, no boxes",
    "jaguar, boxes": "jaguars, a detector's boxes",
    "imagenet animals": "ImageNet's animals, no boxes",
    "scenes, boxes as pictures, other errors": "scenes, each box a picture of its own",
    "scenes": "scenes, boxes: shortcut errors",
    "scenes, no boxes": "scenes, no boxes: shortcut errors",
    "scenes, other errors": "scenes, boxes: other errors",
    "scenes, no boxes, other errors": "scenes, no boxes: other errors",
}
"""The same for the table for users."""

_REAL = (
    "home_suggested_right", "home_errors", "suggested_right", "suggested", "right_suggested", "right", "home_right_suggested",
    "home_right",
)  # fmt: skip
"""Counts of :data:`_REAL_FILES` in the table for users, each with the one that it is a part of."""


_REAL_FILES = {
    "real_places": "Places, made after everything was chosen (seeds 8 and 9).",
    "real_things": "Things, on sets on which nothing was chosen (seeds 4 and 5).",
}
"""Files of what ``benchmarks.real --alone`` found -> what stands above their tables."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Rewrite the generated parts of the pages, or with ``--check`` say whether they are as the results files have them."""
    parser = page_options("Tables of docs/reclassify.md and docs/research/reclassify.md from results.")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results files")
    chosen = parser.parse_args(arguments)
    pages = {PAGE: short_tables(chosen.results), RESEARCH: all_tables(chosen.results)}
    return rewrite(chosen.docs, pages, (BEGIN, END), "python -m benchmarks.reclassify.docs", check=chosen.check)


def short_tables(results: Path) -> str:
    """Markdown of ``reclassify.json`` for users: the decision beside the crop alone and the control, real animals first."""
    found = read_result(results / "reclassify.json")
    if not found:
        return NO_RESULT
    lines = ["| pictures | decision | `mask_crop` alone | `center_crop`, the control |", "|---|---|---|---|"]
    for pictures, title in _SHORT.items():
        rows = {row["strategy"]: row for row in found["rows"] if row.get("pictures") == pictures}
        if rows:
            cells = [
                _recovered_broken(rows.get(strategy))
                for strategy in (Strategy.FUSED, Strategy.MASK_CROP, Strategy.CENTER_CROP)
            ]
            lines.append(f"| {title} | " + " | ".join(cells) + " |")
    real = [part for name, heading in _REAL_FILES.items() for part in _real_table(results, name, heading)]
    return "\n\n".join((*real, source_line(found, "benchmarks.reclassify --part scenes photographs"), "\n".join(lines)))


def _real_table(results: Path, name: str, heading: str) -> list[str]:
    """Markdown of a file of :data:`_REAL_FILES`: what the views of the animal alone suggest on real cats, by kind.

    Args:
        results: folder of the results files.
        name: of the file, without its ending; nothing where there is none.
        heading: above the table.
    """
    found = read_result(results / f"{name}.json")
    if not found:
        return []
    lines = [
        "| real cats, boxes | shortcut errors given the right name | right suggestions | right names made wrong | control: "
        "those at home made wrong |"
    ]
    lines.append("|---|---|---|---|---|")
    for kind, title in (("place", "each has a place of its own"), ("thing", "each has a thing of its own")):
        if rows := [row for row in found["rows"] if (row["kind"], row["sure"]) == (kind, ReclassifyConfig().min_alone)]:
            lines.append(f"| {title} | {_real_cells(rows)} |")
    return [heading, source_line(found, "benchmarks.real --alone"), "\n".join(lines)]


def _real_cells(rows: Sequence[dict[str, Any]]) -> str:
    """Cells of the counts of :data:`_REAL`, over all rows."""
    sums = {name: sum(row[name] for row in rows) for name in _REAL}
    return " | ".join(_share(sums[part], sums[whole]) for part, whole in zip(_REAL[::2], _REAL[1::2], strict=True))


def _levels(results: Path) -> list[str]:
    """Markdown of the same files by how sure the crops must be."""
    lines = [
        "| set | sure from | errors given the right name | right suggestions | right names made wrong | control: at home |"
    ]
    lines.append("|---|---|---|---|---|---|")
    for name in _REAL_FILES:
        rows = (read_result(results / f"{name}.json") or {"rows": []})["rows"]
        for kind, sure in dict.fromkeys((row["kind"], row["sure"]) for row in rows):
            some = [row for row in rows if (row["kind"], row["sure"]) == (kind, sure)]
            lines.append(f"| {kind} | {sure} | {_real_cells(some)} |")
    return ["**Real cats: how sure the crops to the box must be**", "\n".join(lines)] if len(lines) > 2 else []


def _share(x: int, n: int) -> str:
    """A count of a number, with its Wilson interval."""
    if not n:
        return "-"
    low, high = wilson_interval(x / n, n)
    return f"{x} of {n} ({float(low):.2f} to {float(high):.2f})"


def _recovered_broken(row: dict[str, Any] | None) -> str:
    if row is None:
        return "-"
    return f"{row['recovered']} of {row['n_errors']}; {row['broken']} of {row['n_right']}"


def all_tables(results: Path) -> str:
    """Markdown of ``reclassify.json`` and ``reclassify_vit.json``, as far as they are there."""
    parts: list[str] = []
    if found := read_result(results / "reclassify.json"):
        parts += [source_line(found, "benchmarks.reclassify --part scenes photographs")]
        parts += [f"{name.capitalize()}: {note}." for name, note in found["about"]["notes"].items()]
        parts += ["| summary | value |\n|---|---|\n" + "\n".join(_summary_lines(found["summary"]))]
        for pictures, title in _TITLES.items():
            if rows := [row for row in found["rows"] if row.get("pictures") == pictures]:
                parts += [f"**{title}**", _shares(rows)]
    parts += _levels(results)
    if found := read_result(results / "reclassify_vit.json"):
        parts += ["### Vision transformers in new places", source_line(found, "benchmarks.reclassify --part vit")]
        parts += [table(VIT_COLUMNS, [row for row in found["rows"] if "pool" in row])]
    return "\n\n".join(parts) if parts else NO_RESULT


def _summary_lines(summary: dict[str, Any]) -> list[str]:
    return [f"| {name} | {cell(value)} |" for name, value in summary.items() if value is not None]


def _shares(rows: Sequence[dict[str, Any]]) -> str:
    lines = ["| strategy | errors recovered | right names broken |", "|---|---|---|"]
    for row in rows:
        recovered, broken = (
            f"{row[count]} of {row[total]}" for count, total in (("recovered", "n_errors"), ("broken", "n_right"))
        )
        name = "**decision**" if row["strategy"] == Strategy.FUSED else f"`{row['strategy']}`"
        lines.append(f"| {name} | {recovered} | {broken} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())

"""The generated part of docs/reclassify.md: tables from the results files.

python -m benchmarks.reclassify.docs [--check]
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.common import ROOT
from benchmarks.docs_page import NO_RESULT, RESULTS, cell, page_options, read_result, rewrite, source_line, table
from benchmarks.reclassify.decide import VIT_COLUMNS

__all__ = ["BEGIN", "END", "main", "tables"]

BEGIN = (
    "<!-- benchmark tables: written by `python -m benchmarks.reclassify.docs` from benchmarks/results; do not edit -->"
)
END = "<!-- end of benchmark tables -->"
PAGE = ROOT / "docs" / "reclassify.md"

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


def main(arguments: Sequence[str] | None = None) -> int:
    """Rewrite the generated part of the page, or with ``--check`` say whether it is as the results files have it."""
    parser = page_options("Tables of docs/reclassify.md from results.", PAGE)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results files")
    chosen = parser.parse_args(arguments)
    command = "python -m benchmarks.reclassify.docs"
    return rewrite(chosen.page, (BEGIN, END), tables(chosen.results), command, check=chosen.check)


def tables(results: Path) -> str:
    """Markdown of ``reclassify.json`` and ``reclassify_vit.json``, as far as they are there."""
    parts: list[str] = []
    if found := read_result(results / "reclassify.json"):
        parts += [source_line(found, "benchmarks.reclassify --part scenes photographs")]
        parts += [f"{name.capitalize()}: {note}." for name, note in found["about"]["notes"].items()]
        parts += ["| summary | value |\n|---|---|\n" + "\n".join(_summary_lines(found["summary"]))]
        for pictures, title in _TITLES.items():
            if rows := [row for row in found["rows"] if row.get("pictures") == pictures]:
                parts += [f"**{title}**", _shares(rows)]
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
        name = "**decision**" if row["strategy"] == "fused" else f"`{row['strategy']}`"
        lines.append(f"| {name} | {recovered} | {broken} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())

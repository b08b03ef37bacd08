"""The generated part of docs/masks.md: tables from the results files, and pictures from scenes.

python -m benchmarks.mask_docs [--pictures] [--check]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import mask_gradients, mask_memory, masks
from benchmarks.common import ROOT

__all__ = ["BEGIN", "END", "main", "tables"]

BEGIN = "<!-- benchmark tables: written by `python -m benchmarks.mask_docs` from benchmarks/results; do not edit -->"
END = "<!-- end of benchmark tables -->"
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "masks.md"

_QUALITY = tuple(column for column in masks.COLUMNS if column != "data")


def main(arguments: Sequence[str] | None = None) -> int:
    """Rewrite the generated part of the page, or with ``--check`` say whether it is as the results files have it."""
    parser = argparse.ArgumentParser(description="Tables and pictures of docs/masks.md from results and scenes.")
    parser.add_argument("--pictures", action="store_true", help="draw the pictures again as well (a minute)")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where the page is out of date")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results files")
    parser.add_argument("--page", type=Path, default=PAGE, help="page to rewrite")
    chosen = parser.parse_args(arguments)
    text = chosen.page.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        print(f"{chosen.page.name}: expected the two marker lines of the benchmark tables, found none", file=sys.stderr)
        return 1
    changed = f"{before}{BEGIN}\n{tables(chosen.results)}\n{END}{after}"
    if chosen.check:
        if changed != text:
            print(f"{chosen.page.name}: out of date; run python -m benchmarks.mask_docs", file=sys.stderr)
        return int(changed != text)
    chosen.page.write_text(changed)
    if chosen.pictures:
        from benchmarks.mask_pictures import draw

        draw(chosen.page.parent)
    return 0


def tables(results: Path) -> str:
    """Markdown of all results files of the mask benchmarks that are there.

    Args:
        results: folder with ``masks*.json`` (one or more runs), ``mask_gradients.json``, ``mask_memory.json``.
    """
    parts: list[str] = []
    for path in sorted(results.glob("masks*.json")):
        found = json.loads(path.read_text())
        by_data = {name: [row for row in found["rows"] if row["data"] == name] for name in _DATA}
        parts += [_source(found, "benchmarks.masks"), _summary(found["summary"], found["about"]["notes"])]
        for name, (title, columns) in _DATA.items():
            if by_data[name]:
                parts += [f"**{title}**", _table(columns, by_data[name])]
    if gradients := _read(results / "mask_gradients.json"):
        parts += ["### Dropout form, temperature, samples", _source(gradients, "benchmarks.mask_gradients")]
        parts += [_table(mask_gradients.COLUMNS, gradients["rows"])]
    if memory := _read(results / "mask_memory.json"):
        parts += ["### Memory", _source(memory, "benchmarks.mask_memory"), _table(mask_memory.COLUMNS, memory["rows"])]
    return "\n\n".join(parts) if parts else "No results file is kept yet."


_DATA = {
    "scenes": ("Scenes with known causal marks", _QUALITY),
    "jaguar": ("Jaguar photographs, mobilenet_v2", masks.JAGUAR_COLUMNS),
    "photographs": ("Camera-trap photographs of other animals, mobilenet_v2", masks.JAGUAR_COLUMNS),
    "imagenet_animals": ("ImageNet animals, mobilenet_v2", _QUALITY),
    "overhead": (
        "What the engine adds to bare passes",
        (
            "images",
            "evaluations",
            "engine_overhead",
            "overhead_channels_last",
            "model_images_per_second",
            "passes_share_of_rate",
        ),
    ),
}


def _read(path: Path) -> dict[str, Any] | None:
    return json.loads(path.read_text()) if path.is_file() else None


def _source(content: dict[str, Any], module: str) -> str:
    about = content["about"]
    machine = about["machine"]
    return (
        f"`python -m {module}` on {about['date'][:10]}, commit {about['commit']}, {machine['threads']} thread(s) of "
        f"{machine['cores']} cores, torch {about['torch']}, {about['device']}."
    )


def _summary(summary: dict[str, Any], notes: dict[str, str]) -> str:
    lines = ["| summary | value | meaning |", "|---|---|---|"]
    known = {name: value for name, value in summary.items() if value is not None}
    lines += [f"| {name} | {_cell(value)} | {notes.get(name, '')} |" for name, value in known.items()]
    return "\n".join(lines)


def _table(columns: Sequence[str], rows: Sequence[dict[str, Any]]) -> str:
    shown = [column for column in columns if any(row.get(column) is not None for row in rows)]
    lines = ["| " + " | ".join(column.replace("_", " ") for column in shown) + " |", "|" + "---|" * len(shown)]
    lines += ["| " + " | ".join(_cell(row.get(column)) for column in shown) + " |" for row in rows]
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    return str(value)


if __name__ == "__main__":
    sys.exit(main())

"""The generated parts of docs/masks.md and docs/research/masks.md: tables from the results files, and pictures from scenes.

python -m benchmarks.masks.docs [--pictures] [--check]
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.docs_page import (
    NO_RESULT,
    RESULTS,
    page_options,
    read_result,
    rewrite,
    source_line,
    summary_table,
    table,
)
from benchmarks.masks import compare as masks
from benchmarks.masks import gradients as mask_gradients
from benchmarks.masks import memory as mask_memory
from benchmarks.masks import substrates as mask_substrates

__all__ = ["BEGIN", "END", "PAGE", "RESEARCH", "all_tables", "main", "short_tables"]

BEGIN = "<!-- benchmark tables: written by `python -m benchmarks.masks.docs` from benchmarks/results; do not edit -->"
END = "<!-- end of benchmark tables -->"
PAGE, RESEARCH = "masks.md", "research/masks.md"
"""Below docs: for users, and with everything that was measured."""

_QUALITY = tuple(column for column in masks.COLUMNS if column != "data")


def main(arguments: Sequence[str] | None = None) -> int:
    """Rewrite the generated parts of the pages, or with ``--check`` say whether they are as the results files have them."""
    parser = page_options("Tables and pictures of docs/masks.md and docs/research/masks.md from results and scenes.")
    parser.add_argument("--pictures", action="store_true", help="draw the pictures again as well (a minute)")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results files")
    chosen = parser.parse_args(arguments)
    pages = {PAGE: short_tables(chosen.results), RESEARCH: all_tables(chosen.results)}
    failed = rewrite(chosen.docs, pages, (BEGIN, END), "python -m benchmarks.masks.docs", check=chosen.check)
    if chosen.check or failed:
        return failed
    if chosen.pictures:
        from benchmarks.masks.pictures import draw

        draw(chosen.docs)
    return 0


def short_tables(results: Path) -> str:
    """Markdown of ``masks.json`` for users: real animals first, then scenes, the few figures that decide;
    of ``mask_substrates.json`` all means."""
    found = read_result(results / "masks.json")
    if not found:
        return NO_RESULT
    parts = [source_line(found, "benchmarks.masks")]
    for name, columns in _SHORT.items():
        if rows := [row for row in found["rows"] if row["data"] == name]:
            parts += [f"**{_DATA[name][0]}**", table(columns, rows)]
    if found := read_result(results / "mask_substrates.json"):
        parts += [f"**What is removed, in three ways**: {found['about']['notes']['pictures']}"]
        parts += [source_line(found, "benchmarks.masks.substrates"), table(mask_substrates.COLUMNS, found["rows"])]
    return "\n\n".join(parts)


def all_tables(results: Path) -> str:
    """Markdown of all results files of the mask benchmarks that are there.

    Args:
        results: folder with ``masks*.json`` (one or more runs), ``mask_gradients.json``, ``mask_memory.json``.
    """
    parts: list[str] = []
    for path in sorted(results.glob("masks*.json")):
        found = json.loads(path.read_text())
        by_data = {name: [row for row in found["rows"] if row["data"] == name] for name in _DATA}
        parts += [source_line(found, "benchmarks.masks"), summary_table(found["summary"], found["about"]["notes"])]
        for name, (title, columns) in _DATA.items():
            if by_data[name]:
                parts += [f"**{title}**", table(columns, by_data[name])]
    if gradients := read_result(results / "mask_gradients.json"):
        parts += ["### Dropout form, temperature, samples", source_line(gradients, "benchmarks.masks.gradients")]
        parts += [table(mask_gradients.COLUMNS, gradients["rows"])]
    if memory := read_result(results / "mask_memory.json"):
        parts += [
            "### Memory",
            source_line(memory, "benchmarks.masks.memory"),
            table(mask_memory.COLUMNS, memory["rows"]),
        ]
    return "\n\n".join(parts) if parts else NO_RESULT


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

_SHORT = {
    "jaguar": ("method", "energy_in_box", "right_after", "right_after_center_crop"),
    "photographs": ("method", "right_after", "right_after_center_crop"),
    "scenes": ("method", "ap_marks", "deletion", "insertion", "evaluations"),
}
"""Part of the rows -> columns of the page for users."""


if __name__ == "__main__":
    sys.exit(main())

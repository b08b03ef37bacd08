"""Pages with a part that is written from results files: the rewriting between two marker lines, tables in Markdown."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.common import ROOT

__all__ = [
    "DOCS",
    "NO_RESULT",
    "RESULTS",
    "cell",
    "page_options",
    "read_result",
    "rewrite",
    "source_line",
    "summary_table",
    "table",
]

DOCS = ROOT / "docs"
"""Folder of the pages."""

RESULTS = ROOT / "benchmarks" / "results"
"""Results that pages quote."""

NO_RESULT = "No results file is kept yet."


def page_options(description: str) -> argparse.ArgumentParser:
    """Options that all programs have that write part of a page: ``--check`` and ``--docs``."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a page is out of date")
    parser.add_argument("--docs", type=Path, default=DOCS, help="folder of the pages")
    return parser


def rewrite(folder: Path, pages: Mapping[str, str], markers: tuple[str, str], command: str, *, check: bool) -> int:
    """Put generated text between the two marker lines of each page.

    Args:
        folder: where the pages are.
        pages: path of a page below `folder` -> what goes between its markers.
        markers: first and last line of the generated part.
        command: what a reader of a message is to run.
        check: write nothing.

    Returns:
        0; or 1 where markers are missing, or where `check` found a page out of date.
    """
    failed = 0
    for name, content in pages.items():
        text = (folder / name).read_text()
        before, begin, rest = text.partition(markers[0])
        _, end, after = rest.partition(markers[1])
        changed = f"{before}{begin}\n{content}\n{end}{after}"
        if not begin or not end:
            print(f"{name}: expected the two marker lines of the benchmark tables, found none", file=sys.stderr)
            failed = 1
        elif not check:
            (folder / name).write_text(changed)
        elif changed != text:
            print(f"{name}: out of date; run {command}", file=sys.stderr)
            failed = 1
    return failed


def read_result(path: Path) -> dict[str, Any] | None:
    """A results file; None where it is not there."""
    return json.loads(path.read_text()) if path.is_file() else None


def source_line(content: dict[str, Any], module: str) -> str:
    """Which command, day, commit and machine a result is from."""
    about = content["about"]
    machine = about["machine"]
    return (
        f"`python -m {module}` on {about['date'][:10]}, commit {about['commit']}, {machine['threads']} thread(s) of "
        f"{machine['cores']} cores, torch {about['torch']}, {about['device']}."
    )


def summary_table(summary: dict[str, Any], notes: dict[str, str]) -> str:
    """The summary's known values, each with its note."""
    lines = ["| summary | value | meaning |", "|---|---|---|"]
    known = {name: value for name, value in summary.items() if value is not None}
    lines += [f"| {name} | {cell(value)} | {notes.get(name, '')} |" for name, value in known.items()]
    return "\n".join(lines)


def table(columns: Sequence[str], rows: Sequence[dict[str, Any]]) -> str:
    """Rows as a Markdown table; columns that no row has are left out."""
    shown = [column for column in columns if any(row.get(column) is not None for row in rows)]
    lines = ["| " + " | ".join(column.replace("_", " ") for column in shown) + " |", "|" + "---|" * len(shown)]
    lines += ["| " + " | ".join(cell(row.get(column)) for column in shown) + " |" for row in rows]
    return "\n".join(lines)


def cell(value: Any) -> str:
    """A value in three significant digits, in words, or as a dash."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    return str(value)

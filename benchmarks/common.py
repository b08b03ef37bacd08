"""The form all benchmarks share: their options, the description of the machine, the table and the JSON they leave."""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

__all__ = ["DATA", "ROOT", "Report", "options", "resolve_device"]

ROOT = Path(__file__).resolve().parents[1]
"""The repository."""
DATA = ROOT / ".." / "shared" / "data"
"""Real photographs beside the repository; benchmarks leave out what needs them where they are absent."""


def options(description: str) -> argparse.ArgumentParser:
    """A parser with the options every benchmark has: ``--json``, ``--quick``, ``--seed`` and ``--device``."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the result is written")
    parser.add_argument("--quick", action="store_true", help="fewer images; ends within 3 minutes on 2 cores")
    parser.add_argument("--seed", type=int, nargs="+", default=[0, 1, 2], help="seeds of pictures and noise")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    return parser


def resolve_device(name: str) -> torch.device:
    """``auto`` is the first GPU that works, or the CPU."""
    if name != "auto":
        return torch.device(name)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@dataclass
class Report:
    """What a benchmark found."""

    benchmark: str
    device: torch.device
    rows: list[dict[str, Any]] = field(default_factory=list)
    """Flat rows of the table."""
    summary: dict[str, float | None] = field(default_factory=dict)
    """The few numbers it is about; null where it could not be measured."""
    notes: dict[str, Any] = field(default_factory=dict)
    """What the numbers mean, and what was left out and why."""
    _began: float = field(default_factory=time.perf_counter)
    _commit: str | None = field(default_factory=lambda: _commit())
    """Of the code that runs: by the end, the files may be others."""

    def progress(self, what: str) -> None:
        """Print on standard error what was just finished, and after how long."""
        print(f"[{time.perf_counter() - self._began:6.0f} s] {what}", file=sys.stderr, flush=True)

    def as_json(self) -> dict[str, Any]:
        """The JSON object; numbers that are not finite become null."""
        return {
            "benchmark": self.benchmark,
            "about": _about(self.device) | {"commit": self._commit, "notes": self.notes},
            "summary": {key: _plain(value) for key, value in self.summary.items()},
            "rows": [{key: _plain(value) for key, value in row.items()} for row in self.rows],
        }

    def show(self, columns: Sequence[str], title: str, rows: Sequence[dict[str, Any]] | None = None) -> None:
        """Print rows as a table; a dash where a column does not apply."""
        table = Table(title=title)
        for column in columns:
            table.add_column(column.replace("_", " "), justify="left" if column == columns[0] else "right")
        for row in self.rows if rows is None else rows:
            table.add_row(*(_cell(row.get(column)) for column in columns))
        Console(width=None if Console().is_terminal else 200).print(table)

    def finish(self, path: Path | None) -> None:
        """Print the summary, and write the JSON where a file is named."""
        table = Table("summary", "value")
        for key, value in self.summary.items():
            table.add_row(key, _cell(value))
        Console().print(table)
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(self.as_json(), indent=1) + "\n")


def _about(device: torch.device) -> dict[str, Any]:
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "machine": {
            "cpu": _cpu_model(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "load_average": round(os.getloadavg()[0], 1),
            "gpu": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        },
        "device": device.type,
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _commit() -> str | None:
    """Hash of the commit, with a + where files differ from it; None outside a repository."""
    try:
        commit = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.strip()
        changes = subprocess.run(
            ["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit + ("+" if changes.strip() else "")


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        # Five significant digits: what is beyond them is noise, and a result file is read by people.
        return float(f"{value:.5g}") if math.isfinite(value) else None
    return value


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)

"""A night over a SOURCE of millions of which a thousand are new, in a simulated store: seconds and memory of the driver.

python -m benchmarks.scale.simulated --json FILE [--quick] [--keys N ...]

The store makes up the entries that a listing gives, so that the driver's own work is measured: what is committed is read from
OUT, each key is held against it, and what is new is planned. The second night of the same OUT has its old folders closed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

from benchmarks.common import ROOT, Report, options, resolve_device

__all__ = ["main", "measure_night"]

COLUMNS = ("night", "keys", "new", "shown", "closed", "seconds", "cpu_seconds", "peak_memory_mib", "base_memory_mib")
_NOTES = {
    "seconds": "list SOURCE and plan it, as a run does before its first picture, in a process of its own; imports not counted",
    "shown": "keys that the store gave; the second night's closed folders are not looked into",
    "peak_memory_mib": "largest resident memory of that process; base_memory_mib is that before it listed",
    "night": "first: nothing is closed; second: folders whose pictures are older than media.closed_after are; all new: an "
    "empty OUT",
}


def main(arguments: Sequence[str] | None = None) -> Report:
    """Parse the command line, measure, print, write."""
    parser = options("A night over a SOURCE of millions.")
    parser.add_argument("--keys", type=int, nargs="+", default=[1_000_000, 10_000_000], help="objects in SOURCE")
    parser.add_argument("--new-up-to", type=int, default=1_000_000, help="most objects that are also planned all new")
    chosen = parser.parse_args(arguments)
    report = Report("simulated", resolve_device("cpu"), notes=dict(_NOTES))
    for keys in [50_000] if chosen.quick else chosen.keys:
        with tempfile.TemporaryDirectory() as out:
            if keys <= chosen.new_up_to:
                report.rows.append({"night": "all new"} | measure_night(f"{out}/empty", keys))
                report.progress(f"{keys} keys, all new")
            measure_night(f"{out}/out", keys, "fill")
            report.progress(f"{keys} keys committed")
            for night in ("first", "second"):
                report.rows.append({"night": night} | measure_night(f"{out}/out", keys))
                report.progress(f"{keys} keys, {night} night")
    for row in report.rows:
        name = f"{row['night'].replace(' ', '_')}_{row['keys']}"
        report.summary[f"{name}_seconds"] = row["seconds"]
        report.summary[f"{name}_mib"] = row["peak_memory_mib"]
    report.show(COLUMNS, "a night over millions")
    report.finish(chosen.json)
    return report


def measure_night(out: str, keys: int, *what: str) -> dict[str, Any]:
    """One night over so many keys in a process of its own, or nothing where it only fills OUT (`fill`)."""
    command = [sys.executable, "-m", "benchmarks.scale.simulated_night", out, str(keys), *what]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    found: dict[str, Any] = json.loads(done.stdout or "{}")
    return found


if __name__ == "__main__":
    main()

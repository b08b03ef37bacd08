"""Resident memory of this process, as Linux counts it.

Not ``ru_maxrss``: a child process begins with the highest mark of the one that started it, and a growth below that is not seen.
"""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["forget_peak", "peak_mib"]


def peak_mib() -> float:
    """The highest mark since the process began, or since :func:`forget_peak` (MiB)."""
    return _status("VmHWM")


def forget_peak() -> float:
    """Set the highest mark back to what is resident now (MiB), which is returned."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _status(name: str) -> float:
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    if found is None:
        raise RuntimeError(f"/proc/self/status: expected a line {name}, found none")
    return int(found.group(1)) / 1024

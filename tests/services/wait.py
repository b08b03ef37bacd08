"""Waiting for what another process or thread does: looked for again and again, with a limit that only a fault reaches."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

__all__ = ["is_running", "until"]

_Found = TypeVar("_Found")


def until(look: Callable[[], _Found], seconds: float, what: str | Callable[[], str], pause: float = 0.05) -> _Found:
    """Look until something is found.

    Args:
        look: gives something true once it is there; an error of it ends the waiting.
        seconds: how long to wait at most; many times what a busy machine needs, as only a failure waits for so long.
        what: what is waited for, for the message; called only where it is not found.
        pause: between two looks (s).

    Raises:
        AssertionError: it is not found in time.
    """
    end = time.monotonic() + seconds
    while True:
        is_last = time.monotonic() >= end
        if found := look():
            return found
        if is_last:
            raise AssertionError(f"not within {seconds:.0f} s: {what if isinstance(what, str) else what()}")
        time.sleep(pause)


def is_running(pid: int) -> bool:
    """Whether a process is there and has not ended; one that was killed still runs for a moment."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False

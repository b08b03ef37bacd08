"""A machine that stops in the middle of its work, for tests that then take it away."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

__all__ = ["FOLDER", "HANG_AT", "hang_in_the_middle"]

FOLDER = "TRAPAUDIT_TEST_HANG_FOLDER"
"""Set on the machine that is to hang: where it says that it does."""
HANG_AT = 12
"""Its n-th read of an image is the one that never ends."""


def hang_in_the_middle() -> None:
    """Set up a Ray worker process: on the machine with the variable, reading an image ends the work for ever."""
    folder = os.environ.get(FOLDER)
    if not folder:
        return
    from scd_core.storage import Storage

    read = Storage.read
    lock = threading.Lock()
    n_reads = 0

    def counted(self: Storage, path: str, **more: object) -> bytes:
        nonlocal n_reads
        if path.lower().endswith(".jpg"):
            with lock:
                n_reads += 1
                number = n_reads
            if number >= HANG_AT:
                (Path(folder) / f"hangs-{number}").touch()
                time.sleep(3600)
            (Path(folder) / f"read-{os.getpid()}-{number}").touch()
        return read(self, path, **more)  # type: ignore[arg-type]

    Storage.read = counted  # type: ignore[method-assign]

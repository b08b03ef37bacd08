"""Files in this process's memory, for tests and trials."""

from __future__ import annotations

import threading

from scd_core.storage.base import Storage
from scd_core.storage.other import OtherStorage

__all__ = ["MemoryStorage"]

_LOCK = threading.Lock()


class MemoryStorage(OtherStorage):
    """fsspec's file system in memory, with puts that are create-only between threads."""

    holds = Storage.holds

    def _create(self, path: str, data: bytes, durable: bool) -> bool:
        with _LOCK:
            if self.fs.exists(path):
                return False
            self.fs.pipe_file(path, data)
            return True

"""An object as a storage lists it, and the error of one that changed since."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

__all__ = ["Entry", "ObjectChangedError"]


class ObjectChangedError(OSError):
    """An object is no longer what was listed."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An object found by a listing of a storage."""

    path: str
    size: int
    etag: str
    """ETag or what stands in for it; empty for a name behind which there is nothing."""
    version_id: str | None
    modified: datetime

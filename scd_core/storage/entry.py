"""An object as a storage lists it, and the error of one that changed since."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

__all__ = ["Entry", "LeaveOut", "ObjectChangedError", "check_unchanged"]


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


class LeaveOut(Protocol):
    """Folders that a listing may leave out; a folder is its path below the root, with forward slashes."""

    def leaves_out(self, folder: str) -> bool:
        """Whether a folder that is there is not looked into."""
        ...

    def is_above(self, folder: str) -> bool:
        """Whether a folder that is left out may lie below this one; the root is the empty path."""
        ...


def check_unchanged(data: bytes, found: str | None, etag: str | None, size: int | None = None) -> None:
    """Compare what was read with what was listed.

    Args:
        data: content that was read.
        found: its ETag; None where that is not known.
        etag: ETag in the listing; None takes any.
        size: length in the listing, in bytes; None takes any.

    Raises:
        ObjectChangedError: it is another.
    """
    if etag is not None and found is not None and found != etag:
        raise ObjectChangedError(f"changed after it was listed (was {etag}, is {found})")
    if size is not None and len(data) != size:
        raise ObjectChangedError(f"changed after it was listed ({size} bytes then, {len(data)} now)")

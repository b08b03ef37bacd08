"""The objects of a SOURCE, as they were listed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from scd_core.names import LeftOutKind

__all__ = ["FolderState", "LeftOut", "ObjectRef"]


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """An object as it was listed."""

    uri: str
    """Full address, without credentials."""
    file: str
    """Path relative to SOURCE, with forward slashes."""
    size_bytes: int
    etag: str
    """ETag; on a disk the modification time in nanoseconds."""
    version_id: str | None
    """Version of the object, where the bucket keeps versions."""
    last_modified_at: datetime
    """When the object was last written (UTC)."""

    @property
    def media_id(self) -> str:
        """First 32 hex digits of the sha256 over the URI and the version, or the ETag and size where there is none."""
        return self.media_key.hex()

    @property
    def media_key(self) -> bytes:
        """The media_id as the 16 bytes that its digits stand for."""
        state = f"v\0{self.version_id}" if self.version_id else f"e\0{self.etag}\0{self.size_bytes}"
        return hashlib.sha256(f"{self.uri}\0{state}".encode("utf-8", "surrogateescape")).digest()[:16]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Files of one kind below SOURCE that are no media."""

    kind: LeftOutKind
    n: int
    examples: tuple[str, ...]
    """The first of them, as paths relative to SOURCE."""


@dataclass(slots=True)
class FolderState:
    """What one folder of a listing holds, at any depth."""

    newest: datetime
    """When the newest of its media was written (UTC)."""
    n: int = 0
    """Media in it."""
    n_new: int = 0
    """Of these, not done."""

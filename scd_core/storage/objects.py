"""The objects of a SOURCE, as they were listed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from scd_core.names import LeftOutKind

__all__ = ["LeftOut", "Listing", "ObjectRef"]


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
        state = ("v", self.version_id) if self.version_id else ("e", self.etag, str(self.size_bytes))
        return hashlib.sha256("\0".join((self.uri, *state)).encode("utf-8", "surrogateescape")).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Files of one kind below SOURCE that are no media."""

    kind: LeftOutKind
    n: int
    examples: tuple[str, ...]
    """The first of them, as paths relative to SOURCE."""


@dataclass(frozen=True)
class Listing:
    """What SOURCE held at one moment."""

    objects: list[ObjectRef]
    """The media, sorted by ``file``."""
    markers: Mapping[str, datetime]
    """Marker files (``batch.json``, ``_SUCCESS``): path relative to SOURCE -> when it was written (UTC)."""
    left_out: tuple[LeftOut, ...] = ()
    """What SOURCE holds besides media, by kind."""

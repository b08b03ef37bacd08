"""The objects that listing, decoding and batching pass to one another."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

__all__ = ["Batch", "Listing", "MediaError", "ObjectRef"]


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


@dataclass(frozen=True)
class Listing:
    """What SOURCE held at one moment."""

    objects: list[ObjectRef]
    """The media, sorted by ``file``."""
    markers: Mapping[str, datetime]
    """Marker files (``batch.json``, ``_SUCCESS``): path relative to SOURCE -> when it was written (UTC)."""


@dataclass(frozen=True)
class Batch:
    """Objects that are audited and committed together."""

    batch_key: str
    """Hash over the objects, the model's digest and the config's digest: the same work has the same name."""
    batch_date: date
    """UTC date of the newest object, so a batch's path does not depend on the day it is run."""
    objects: Sequence[ObjectRef]


class MediaError(Exception):
    """One object cannot be used.

    Args:
        status: ``corrupt``, ``empty``, ``unsupported`` or ``missing``, as in the table ``media``.
        stage: ``list``, ``fetch`` or ``decode``.
        reason: why, in words.
    """

    def __init__(self, status: str, stage: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.stage = stage
        self.reason = reason

"""Describing objects: one row of the table ``media`` for each, whatever state it is in."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

from scd_core.config import MediaConfig
from scd_core.media.decode import load_image, open_image, sniff, upright_size
from scd_core.media.fetch import _BYTES, fetch_bytes
from scd_core.media.manifest import Manifest, find_manifest
from scd_core.media.metadata import exif_time, path_facts
from scd_core.media.pixels import measure_pixels
from scd_core.media.types import MediaError
from scd_core.storage import Storage, open_source, storage_of
from scd_core.storage.objects import ObjectRef
from scd_core.storage.threads import COMPUTING, ordered_map

__all__ = ["describe_objects"]

_FROM_BYTES = (
    "content_sha256", "format", "width", "height", "is_infrared", "brightness", "sharpness", "failure_stage",
    "failure_reason", "duplicate_of",
)  # fmt: skip
_MEASURE_SIDE = 256
_HEAD = 4096
_NOT_STILL_SUFFIXES = frozenset(
    {
        ".mp4", ".mov", ".avi", ".mkv", ".m4v", ".mpg", ".mpeg", ".wmv", ".mts", ".m2ts", ".ts", ".3gp", ".webm",
        ".flv", ".asf", ".wav", ".mp3",
    }
)  # fmt: skip
_RAW_SUFFIXES = frozenset(
    {
        ".dng",
        ".nef",
        ".nrw",
        ".cr2",
        ".cr3",
        ".crw",
        ".arw",
        ".sr2",
        ".srf",
        ".orf",
        ".rw2",
        ".pef",
        ".srw",
        ".raf",
        ".raw",
    }
)


def describe_objects(
    objects: Sequence[ObjectRef], source: str, config: MediaConfig, manifest: Manifest | None = None
) -> list[dict[str, Any]]:
    """Fetch, verify and describe objects.

    Each object is fetched as it was listed, hashed and decoded to its last byte, so damage is found here and not in
    the middle of a later stage.

    Args:
        objects: references from a listing.
        source: SOURCE they were listed from.
        config: settings of the media stage.
        manifest: what a manifest says of deployments and times; None looks for one in SOURCE and above it.

    Returns:
        One row per object, in the same order, with the columns of the table ``media`` but run_id, batch_key,
        model_digest and event_id. ``status`` is ``ok``, ``empty`` (no bytes), ``corrupt`` (damaged), ``unsupported``
        (a video, RAW, HTML, an animation, a decompression bomb, ...) or ``missing`` (it vanished, changed or may not be
        read), with ``failure_stage`` and ``failure_reason``.

    Raises:
        InputError: the path template or filename pattern of the config is malformed, or the manifest cannot be read.
        RunError: the storage did not answer.
    """
    storage = open_source(source)
    manifest = find_manifest(source) if manifest is None else manifest
    rows = ordered_map(
        objects,
        lambda ref: _describe(ref, storage, config, manifest),
        config.fetch_workers,
        ahead=2 * config.fetch_workers,
    )
    return list(rows)


def _describe(ref: ObjectRef, storage: Storage, config: MediaConfig, manifest: Manifest | None) -> dict[str, Any]:
    row: dict[str, Any] = {
        "media_id": ref.media_id,
        "uri": ref.uri,
        "file": ref.file,
        "version_id": ref.version_id,
        "etag": ref.etag,
        "size_bytes": ref.size_bytes,
        "last_modified_at": ref.last_modified_at,
        "status": "ok",
    }
    row |= dict.fromkeys(_FROM_BYTES)
    row |= _PlaceAndTime(ref, config, manifest).columns()
    try:
        if ref.size_bytes == 0 and ref.etag:
            raise MediaError("empty", "fetch", "the file has no bytes")
        _refuse_unread(ref, storage, config)
        with _BYTES.hold(ref.size_bytes):
            data = fetch_bytes(storage, ref.uri, etag=ref.etag, size_bytes=ref.size_bytes, version_id=ref.version_id)
            row["content_sha256"] = hashlib.sha256(data).hexdigest()
            kind = sniff(data[:64])
            row["format"] = None if kind == "unknown" else kind
            if kind == "TIFF" and PurePosixPath(ref.file).suffix.lower() in _RAW_SUFFIXES:
                raise MediaError("unsupported", "decode", "a camera RAW file; save it as JPEG or TIFF")
            image = open_image(data, max_pixels=config.max_pixels)
            moment, offset = exif_time(image)
            if moment is not None:
                row |= {"captured_at": moment, "captured_at_source": "exif"}
                if offset is not None:
                    row["utc_offset_minutes"] = offset
            row["width"], row["height"] = upright_size(image)
            with COMPUTING:
                facts = measure_pixels(load_image(image, target=_MEASURE_SIDE))
            row |= {"is_infrared": facts.is_infrared, "brightness": facts.brightness, "sharpness": facts.sharpness}
    except MediaError as error:
        row |= {"status": error.status, "failure_stage": error.stage, "failure_reason": error.reason}
    return row


class _PlaceAndTime:
    """What path, name and manifest say of an object; EXIF comes on top once the bytes are there."""

    def __init__(self, ref: ObjectRef, config: MediaConfig, manifest: Manifest | None) -> None:
        self.path = path_facts(ref.file, config)
        self.manifest = manifest.lookup(ref, self.path) if manifest is not None else None

    def columns(self) -> dict[str, Any]:
        path, told = self.path, self.manifest
        row: dict[str, Any] = {
            "site_id": path.site_id,
            "camera_id": path.camera_id,
            "deployment_id": path.deployment_id,
            "captured_at": path.captured_at,
            "captured_at_source": "filename" if path.captured_at else None,
            "utc_offset_minutes": None,
            "latitude": None,
            "longitude": None,
        }
        if told is None:
            return row
        for name in ("site_id", "camera_id", "deployment_id", "latitude", "longitude", "utc_offset_minutes"):
            if getattr(told, name) is not None:
                row[name] = getattr(told, name)
        if told.captured_at is not None:
            row |= {"captured_at": told.captured_at, "captured_at_source": "manifest"}
        return row


def _refuse_unread(ref: ObjectRef, storage: Storage, config: MediaConfig) -> None:
    """Videos and what is too large are told from their first bytes; the rest of them is not fetched."""
    suffix = PurePosixPath(ref.file).suffix.lower()
    is_large = ref.size_bytes > config.max_bytes
    if not is_large and suffix not in _NOT_STILL_SUFFIXES | _RAW_SUFFIXES:
        return
    try:
        storage = storage_of(ref.uri, storage)
        kind = sniff(storage.read_head(storage.path_of(ref.uri), _HEAD))
    except OSError:
        return  # the whole read that follows finds out and says why
    if suffix in _NOT_STILL_SUFFIXES and kind in ("video", "unknown"):
        raise MediaError("unsupported", "fetch", "a video or sound file; only still images are read")
    if suffix in _RAW_SUFFIXES and kind in ("RAW", "TIFF", "unknown"):
        raise MediaError("unsupported", "fetch", "a camera RAW file; save it as JPEG or TIFF")
    if is_large:
        raise MediaError(
            "unsupported", "fetch", f"{ref.size_bytes} bytes is over the limit media.max_bytes={config.max_bytes}"
        )

"""Describing objects: one row of the table ``media`` for each, whatever state it is in."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import PurePosixPath

from scd_core.config import MediaConfig
from scd_core.media.clock import choose_time
from scd_core.media.decode import load_image, open_image, upright_size
from scd_core.media.error import MediaError
from scd_core.media.fetch import UNDECODED_BYTES, fetch_bytes
from scd_core.media.manifest import Manifest, ManifestFacts, find_manifest
from scd_core.media.metadata import ExifTime, PathFacts, exif_time, path_facts
from scd_core.media.pixels import measure_pixels
from scd_core.media.sniff import sniff
from scd_core.names import FailureStage, MediaStatus
from scd_core.storage import Storage, open_source, storage_of
from scd_core.storage.objects import ObjectRef
from scd_core.storage.threads import COMPUTING, ordered_map
from scd_core.tables.rows import MediaRow

__all__ = ["describe_objects"]

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
        ".dng", ".nef", ".nrw", ".cr2", ".cr3", ".crw", ".arw", ".sr2", ".srf", ".orf", ".rw2", ".pef", ".srw", ".raf",
        ".raw",
    }
)  # fmt: skip
_RAW_REASON = "a camera RAW file; save it as JPEG or TIFF"


def describe_objects(
    objects: Sequence[ObjectRef],
    source: str,
    config: MediaConfig,
    manifest: Manifest | None = None,
    names: Mapping[str, str] | None = None,
) -> list[MediaRow]:
    """Fetch, verify and describe objects.

    Each object is fetched as it was listed, hashed and decoded to its last byte, so damage is found here and not in
    the middle of a later stage.

    Args:
        objects: references from a listing.
        source: SOURCE they were listed from.
        config: settings of the media stage.
        manifest: deployments and times by a manifest; None looks for one in SOURCE and above it.
        names: medium's address -> its name in the manifest, where that is not the address (:meth:`Manifest.join` of all media of
            SOURCE); None joins the manifest to these objects.

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
    if manifest is not None and names is None:
        names = manifest.join(objects).names
    rows = ordered_map(
        objects,
        lambda ref: _describe(ref, storage, config, manifest, names or {}),
        config.fetch_workers,
        ahead=2 * config.fetch_workers,
    )
    return list(rows)


def _describe(
    ref: ObjectRef, storage: Storage, config: MediaConfig, manifest: Manifest | None, names: Mapping[str, str]
) -> MediaRow:
    row: MediaRow = {
        "media_id": ref.media_id,
        "uri": ref.uri,
        "file": ref.file,
        "version_id": ref.version_id,
        "etag": ref.etag,
        "size_bytes": ref.size_bytes,
        "last_modified_at": ref.last_modified_at,
        "content_sha256": None,
        "format": None,
        "width": None,
        "height": None,
        "is_infrared": None,
        "brightness": None,
        "sharpness": None,
        "status": MediaStatus.OK,
        "failure_stage": None,
        "failure_reason": None,
        "duplicate_of": None,
    }
    path = path_facts(ref.file, config)
    facts = (manifest.lookup(ref, path, names) if manifest is not None else None) or ManifestFacts()
    row.update(_place(path, facts))
    row.update(_time(ExifTime(), facts, path))
    try:
        if ref.size_bytes == 0 and ref.etag:
            raise MediaError(MediaStatus.EMPTY, FailureStage.FETCH, "the file has no bytes")
        _refuse_unread(ref, storage, config)
        with UNDECODED_BYTES.hold(ref.size_bytes):
            data = fetch_bytes(storage, ref.uri, etag=ref.etag, size_bytes=ref.size_bytes, version_id=ref.version_id)
            _describe_content(row, data, config, lambda exif: _time(exif, facts, path))
    except MediaError as error:
        row.update({"status": error.status, "failure_stage": error.stage, "failure_reason": error.reason})
    return row


def _describe_content(row: MediaRow, data: bytes, config: MediaConfig, time_of: Callable[[ExifTime], MediaRow]) -> None:
    """Fill in what the bytes hold, as far as they can be read; `time_of` gives the columns of the time."""
    row["content_sha256"] = hashlib.sha256(data).hexdigest()
    kind = sniff(data[:64])
    row["format"] = None if kind == "unknown" else kind
    if kind == "TIFF" and PurePosixPath(row["file"]).suffix.lower() in _RAW_SUFFIXES:
        raise MediaError(MediaStatus.UNSUPPORTED, FailureStage.DECODE, _RAW_REASON)
    image = open_image(data, max_pixels=config.max_pixels)
    row.update(time_of(exif_time(image)))
    row["width"], row["height"] = upright_size(image)
    with COMPUTING:
        facts = measure_pixels(load_image(image, target=_MEASURE_SIDE))
    row.update({"is_infrared": facts.is_infrared, "brightness": facts.brightness, "sharpness": facts.sharpness})


def _place(path: PathFacts, facts: ManifestFacts) -> MediaRow:
    """What manifest, path and name hold about the place of an object."""
    return {
        "site_id": facts.site_id or path.site_id,
        "camera_id": facts.camera_id or path.camera_id,
        "deployment_id": facts.deployment_id or path.deployment_id,
        "latitude": facts.latitude,
        "longitude": facts.longitude,
    }


def _time(exif: ExifTime, facts: ManifestFacts, path: PathFacts) -> MediaRow:
    """What EXIF, manifest and name hold about the time of an object."""
    chosen = choose_time(exif, facts, path.captured_at, datetime.now(UTC).replace(tzinfo=None))
    return {
        "captured_at": chosen.captured_at,
        "captured_at_source": chosen.source,
        "time_not_understood": exif.not_understood,
        "clock_doubt": chosen.doubt,
        "utc_offset_minutes": chosen.utc_offset_minutes,
    }


def _refuse_unread(ref: ObjectRef, storage: Storage, config: MediaConfig) -> None:
    """Refuse videos, RAW files and what is too large by their first bytes; the rest of them is not fetched."""
    suffix = PurePosixPath(ref.file).suffix.lower()
    is_large = ref.size_bytes > config.max_bytes
    if not is_large and suffix not in _NOT_STILL_SUFFIXES | _RAW_SUFFIXES:
        return
    try:
        storage = storage_of(ref.uri, storage)
        kind = sniff(storage.read_head(storage.path_of(ref.uri), _HEAD))
    except OSError:
        return  # the whole read that follows finds out why
    if suffix in _NOT_STILL_SUFFIXES and kind in ("video", "unknown"):
        reason = "a video or sound file; only still images are read"
    elif suffix in _RAW_SUFFIXES and kind in ("RAW", "TIFF", "unknown"):
        reason = _RAW_REASON
    elif is_large:
        reason = f"{ref.size_bytes} bytes is over the limit media.max_bytes={config.max_bytes}"
    else:
        return
    raise MediaError(MediaStatus.UNSUPPORTED, FailureStage.FETCH, reason)

"""Listing a SOURCE: which objects there are, and which of them are media."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import PurePosixPath

from scd_core.config import MediaConfig
from scd_core.errors import InputError, TrapauditError
from scd_core.media.manifest import is_manifest, manifest_objects
from scd_core.storage import Storage, open_source, storage_of
from scd_core.storage.entry import Entry
from scd_core.storage.objects import Listing, ObjectRef
from scd_core.storage.retry import error_code, scrub

__all__ = ["is_sidecar", "list_objects", "list_source", "media_entries"]

_MARKERS = ("batch.json", "_SUCCESS")
"""Names of the files by which an uploader marks a folder as complete."""

_SIDECAR_SUFFIXES = frozenset(
    {
        ".csv", ".tsv", ".json", ".jsonl", ".geojson", ".txt", ".md", ".xml", ".yaml", ".yml", ".log", ".ini", ".xmp",
        ".parquet", ".xlsx", ".xls", ".ods", ".pdf", ".md5", ".sha1", ".sha256", ".ddb", ".db",
    }
)  # fmt: skip
_SAMPLE = 4
_SIDECAR_NAMES = frozenset({"_success", "thumbs.db", "desktop.ini", "license", "readme"})


def is_sidecar(file: str) -> bool:
    """Whether a file goes along with media instead of being one.

    Hidden files and folders (a name that begins with a dot and has more than dots), tables, notes, manifests and
    markers are sidecars, found by name alone. Everything else is listed as media, videos and unknown types included, so
    that nothing is lost.

    Args:
        file: path relative to SOURCE.

    >>> is_sidecar("card1/detections.csv"), is_sidecar("card1/IMG_0001.JPG"), is_sidecar("card1/clip.mp4")
    (True, False, False)
    """
    parts = file.split("/")
    name = parts[-1].lower()
    return (
        # `..` in the key of an object store is a name like any other, and hides nothing.
        any(part.startswith(".") and part.strip(".") for part in parts)
        or name in _SIDECAR_NAMES
        or PurePosixPath(name).suffix in _SIDECAR_SUFFIXES
    )


def media_entries(storage: Storage, without: str | None = None) -> Iterator[Entry]:
    """The objects below a storage's root that are media, one after the other, in no promised order.

    Args:
        storage: SOURCE.
        without: URL or path of a folder that is left out: OUT, where it lies below SOURCE.

    Raises:
        RunError: the storage did not answer.
        OSError: the storage refused.
    """
    left_out = _left_out(without)
    for entry in storage.entries(versions=True):
        if not is_sidecar(_file(storage, entry)) and not storage.uri_of(entry.path).startswith(left_out):
            yield entry


def list_objects(source: str, config: MediaConfig, without: str | None = None) -> list[ObjectRef]:
    """List the media below SOURCE, anew each time.

    Args:
        source: fsspec URL or local path of a folder, a prefix, or one object.
        config: settings of the media stage.
        without: URL or path of a folder that is left out: OUT, where it lies below SOURCE.

    Returns:
        One reference per object that is not a sidecar (:func:`is_sidecar`), sorted by ``file``.

    Raises:
        InputError: SOURCE does not exist, holds no media, or may not be listed or read.
        RunError: the storage did not answer.
    """
    return list_source(source, config, without).objects


def list_source(source: str, config: MediaConfig, without: str | None = None) -> Listing:
    """List the media below SOURCE and the marker files by which uploaders mark a folder as complete.

    Args and errors as for :func:`list_objects`. SOURCE may also be a manifest (``datapackage.json``, or a CSV file with
    a column ``file`` or ``filePath``): then the media it names are listed, wherever they are, and one that is not there
    is in the listing with an empty ETag, so that it gets its row too.
    """
    storage = open_source(source)
    if is_manifest(source):
        return Listing(_check(storage, manifest_objects(source), None), {})
    try:
        entries = list(storage.entries(versions=True))
        if not entries:
            storage, entries = _single(storage)
    except FileNotFoundError as error:
        raise InputError(f"SOURCE {storage.url}: does not exist ({error_code(error) or 'not found'})") from error
    except PermissionError as error:
        raise InputError(f"SOURCE {storage.url}: {storage.explain_unlisted(error)}") from error
    except TrapauditError:
        raise
    except Exception as error:  # each file system has errors of its own
        raise InputError(f"SOURCE {storage.url}: cannot be listed ({scrub(error)})") from error
    if not entries:
        raise InputError(f"SOURCE {storage.url}: {storage.explain_empty()}")
    left_out = _left_out(without)
    refs = [ref for entry in entries if not (ref := _ref(storage, entry)).uri.startswith(left_out)]
    if not refs:
        raise InputError(f"SOURCE {storage.url}: holds no images besides the files of OUT")
    media = [ref for ref in refs if not is_sidecar(ref.file)]
    markers = {ref.file: ref.last_modified_at for ref in refs if ref.file.rsplit("/", 1)[-1] in _MARKERS}
    return Listing(_check(storage, media, refs), markers)


def _check(storage: Storage, media: list[ObjectRef], refs: list[ObjectRef] | None) -> list[ObjectRef]:
    if not media:
        others = f" (only {len(refs)} other files, such as {min(r.file for r in refs)})" if refs else ""
        raise InputError(f"SOURCE {storage.url}: holds no images{others}")
    media = sorted(media, key=lambda ref: ref.file)
    if not storage.listing_is_reading:
        _check_readable(storage, media)
    return media


def _check_readable(storage: Storage, media: list[ObjectRef]) -> None:
    """Find out before any work that nothing may be read, rather than quarantine every image."""
    sample = [media[round(n * (len(media) - 1) / _SAMPLE)] for n in range(_SAMPLE + 1)]
    for ref in sample:
        try:
            home = storage_of(ref.uri, storage)
            home.head(home.path_of(ref.uri), ref.version_id)
        except PermissionError as error:
            refusal = error
        else:
            return
    raise InputError(f"SOURCE {storage.url}: {storage.explain_denied(storage.path_of(sample[0].uri), refusal)}")


def _single(storage: Storage) -> tuple[Storage, list[Entry]]:
    """SOURCE may name one object; then its folder is the root."""
    folder, _, name = storage.root.rpartition("/")
    if not folder or not name or not storage.exists(storage.root):
        return storage, []
    above = storage.at(folder)
    found = [entry for entry in above.entries(versions=True) if entry.path == storage.root]
    return (above, found) if found else (storage, [])


def _ref(storage: Storage, entry: Entry) -> ObjectRef:
    uri, file, etag = storage.uri_of(entry.path), _file(storage, entry), entry.etag
    if not file.isprintable() and any("\udc80" <= letter <= "\udcff" for letter in file):
        # A name on a disk that is no UTF-8: no table can hold it, so nothing can be read by the names in tables.
        uri, file = (os.fsencode(text).decode("utf-8", "backslashreplace") for text in (uri, file))
        etag = ""
    return ObjectRef(uri, file, entry.size, etag, entry.version_id, entry.modified)


def _file(storage: Storage, entry: Entry) -> str:
    # One slash only: `card/a.jpg` and `card//a.jpg` are two objects of a bucket, with a name each.
    return entry.path[len(storage.root) if storage.root != "/" else 0 :].removeprefix("/")


def _left_out(folder: str | None) -> str | tuple[str, ...]:
    """How the addresses of what is left out begin; for ``str.startswith``."""
    return () if folder is None else open_source(folder).url.rstrip("/") + "/"

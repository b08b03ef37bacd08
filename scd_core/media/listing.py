"""Listing a SOURCE: which objects there are, and which of them are media."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence

from scd_core.config import MediaConfig
from scd_core.errors import InputError, TrapauditError
from scd_core.media.left_out import count_left_out, left_out_kind, left_out_line
from scd_core.media.manifest import is_manifest, manifest_objects
from scd_core.names import LeftOutKind
from scd_core.storage import Storage, open_source, storage_of
from scd_core.storage.entry import Entry
from scd_core.storage.objects import LeftOut, Listing, ObjectRef
from scd_core.storage.retry import error_code, scrub

__all__ = ["list_objects", "list_source", "media_entries"]

_MARKERS = ("batch.json", "_SUCCESS")
"""Names of the files by which an uploader marks a folder as complete."""

_SAMPLE = 4


def media_entries(storage: Storage, without: str | None = None) -> Iterator[Entry]:
    """The objects below a storage's root that are media, one after the other, in no promised order.

    Args:
        storage: SOURCE.
        without: URL or path of a folder that is left out: OUT, where it lies below SOURCE.

    Raises:
        RunError: the storage did not answer.
        OSError: the storage refused.
    """
    of_out = _begin_of_out(without)
    for entry in storage.entries(versions=True):
        if left_out_kind(_file(storage, entry)) is None and not storage.uri_of(entry.path).startswith(of_out):
            yield entry


def list_objects(source: str, config: MediaConfig, without: str | None = None) -> list[ObjectRef]:
    """List the media below SOURCE, anew each time.

    Args:
        source: fsspec URL or local path of a folder, a prefix, or one object.
        config: settings of the media stage.
        without: URL or path of a folder that is left out: OUT, where it lies below SOURCE.

    Returns:
        One reference per object that is not left out (:func:`scd_core.media.left_out.left_out_kind`), sorted by ``file``.

    Raises:
        InputError: SOURCE does not exist, holds no media, or may not be listed or read.
        RunError: the storage did not answer.
    """
    return list_source(source, config, without).objects


def list_source(source: str, config: MediaConfig, without: str | None = None, *, follow_links: bool = True) -> Listing:
    """List the media below SOURCE and the marker files by which uploaders mark a folder as complete.

    Args and errors as for :func:`list_objects`. SOURCE may also be a manifest (``datapackage.json``, or a CSV file with
    a column ``file`` or ``filePath``): then the media it names are listed, wherever they are, and one that is not there
    is in the listing with an empty ETag, so that it gets its row too.

    With `follow_links` false, links on a disk that lead out of SOURCE are left out, and counted.
    """
    storage = open_source(source)
    if not follow_links:
        storage.stay_inside()
    if is_manifest(source):
        media, left_out = _apart(manifest_objects(source))
        return Listing(_check(storage, media, left_out), {}, left_out)
    try:
        entries = list(storage.entries(versions=True))
        if not entries and not storage.links_out:
            storage, entries = _single(storage)
    except FileNotFoundError as error:
        raise InputError(f"SOURCE {storage.url}: does not exist ({error_code(error) or 'not found'})") from error
    except PermissionError as error:
        raise InputError(f"SOURCE {storage.url}: {storage.explain_unlisted(error)}") from error
    except TrapauditError:
        raise
    except Exception as error:  # each file system has errors of its own
        raise InputError(f"SOURCE {storage.url}: cannot be listed ({scrub(error)})") from error
    if not entries and not storage.links_out:
        raise InputError(f"SOURCE {storage.url}: {storage.explain_empty()}")
    of_out = _begin_of_out(without)
    refs = [ref for entry in entries if not (ref := _ref(storage, entry)).uri.startswith(of_out)]
    if not refs and not storage.links_out:
        raise InputError(f"SOURCE {storage.url}: holds no images besides the files of OUT")
    media, left_out = _apart(refs, [_below(storage, path) for path in storage.links_out or ()])
    markers = {ref.file: ref.last_modified_at for ref in refs if ref.file.rsplit("/", 1)[-1] in _MARKERS}
    return Listing(_check(storage, media, left_out), markers, left_out)


def _apart(refs: Sequence[ObjectRef], links: Sequence[str] = ()) -> tuple[list[ObjectRef], tuple[LeftOut, ...]]:
    """Media, and how many of some objects are none; of one elsewhere in the manifest's bucket, the bucket's name is no folder."""
    kinds = [left_out_kind(re.sub(r"^[a-z0-9+.-]+://[^/]*/", "", ref.file)) for ref in refs]
    others = ((ref.file, kind) for ref, kind in zip(refs, kinds, strict=True))
    left_out = count_left_out((*others, *((link, LeftOutKind.LINK) for link in links)))
    return [ref for ref, kind in zip(refs, kinds, strict=True) if kind is None], left_out


def _check(storage: Storage, media: list[ObjectRef], left_out: Sequence[LeftOut] = ()) -> list[ObjectRef]:
    if not media:
        n = sum(one.n for one in left_out)
        others = f" (only {n} other files; {left_out_line(left_out)})" if left_out else ""
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
    return _below(storage, entry.path)


def _below(storage: Storage, path: str) -> str:
    # One slash only: `card/a.jpg` and `card//a.jpg` are two objects of a bucket, with a name each.
    return path[len(storage.root) if storage.root != "/" else 0 :].removeprefix("/")


def _begin_of_out(folder: str | None) -> str | tuple[str, ...]:
    """How the addresses of the files of OUT begin; for ``str.startswith``."""
    return () if folder is None else open_source(folder).url.rstrip("/") + "/"

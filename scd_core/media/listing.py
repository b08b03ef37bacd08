"""Listing a SOURCE: which objects there are, and which of them are media."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from datetime import datetime

from scd_core.config import MediaConfig
from scd_core.errors import InputError, TrapauditError
from scd_core.media.left_out import LeftOutCounter, left_out_kind, left_out_line
from scd_core.media.manifest import is_manifest, manifest_objects
from scd_core.media.metadata import folder_levels
from scd_core.names import LeftOutKind
from scd_core.storage import Storage, open_source, storage_of
from scd_core.storage.entry import Entry
from scd_core.storage.object_table import Listing, ObjectTable
from scd_core.storage.objects import FolderState, ObjectRef
from scd_core.storage.retry import error_code, scrub
from scd_core.tables.batches import folder_of
from scd_core.tables.closed import ClosedFolders
from scd_core.tables.id_set import IdSet

__all__ = ["list_objects", "list_source", "media_entries"]

_MARKERS = ("batch.json", "_SUCCESS")
"""Names of the files by which an uploader marks a folder as complete."""

_NO_TEXT = re.compile("[\udc80-\udcff]")
"""Bytes of a name that are no UTF-8, as Python reads them."""

_SAMPLE = 4
_PART = 4096
"""Objects that are looked up at once."""


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


def list_objects(source: str, config: MediaConfig, without: str | None = None) -> ObjectTable:
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


def list_source(
    source: str,
    config: MediaConfig,
    without: str | None = None,
    *,
    follow_links: bool = True,
    done: IdSet | None = None,
    closed: ClosedFolders | None = None,
) -> Listing:
    """List the media below SOURCE and the marker files by which uploaders mark a folder as complete.

    Args and errors as for :func:`list_objects`. SOURCE may also be a manifest (``datapackage.json``, or a CSV file with
    a column ``file`` or ``filePath``): then the media it names are listed, wherever they are, and one that is not there
    is in the listing with an empty ETag, so that it gets its row too.

    With `follow_links` false, links on a disk that lead out of SOURCE are left out, and counted. Media that are `done` are
    counted and not kept, so that a listing of millions takes little memory. Folders that are `closed` are not looked into.
    """
    storage = open_source(source)
    if not follow_links:
        storage.stay_inside()
    closed = closed or ClosedFolders()
    found = _Found(storage, folder_levels(config), without, done or IdSet())
    if is_manifest(source):
        for ref in manifest_objects(source):
            # Of one elsewhere in the manifest's bucket, the bucket's name is no folder.
            found.add(ref, left_out_kind(re.sub(r"^[a-z0-9+.-]+://[^/]*/", "", ref.file)))
        return found.listing(closed)
    try:
        for entry in storage.entries(versions=True, leave_out=closed):
            found.add_entry(entry)
        if not found.n_entries and not closed.n_folders and not storage.links_out:
            found.storage, entries = _single(storage)
            for entry in entries:
                found.add_entry(entry)
    except FileNotFoundError as error:
        raise InputError(f"SOURCE {storage.url}: does not exist ({error_code(error) or 'not found'})") from error
    except PermissionError as error:
        raise InputError(f"SOURCE {storage.url}: {storage.explain_unlisted(error)}") from error
    except TrapauditError:
        raise
    except Exception as error:  # each file system has errors of its own
        raise InputError(f"SOURCE {storage.url}: cannot be listed ({scrub(error)})") from error
    if closed.n_folders or storage.links_out:
        return found.listing(closed)
    if not found.n_entries:
        raise InputError(f"SOURCE {storage.url}: {storage.explain_empty()}")
    if found.n_of_out == found.n_entries:
        raise InputError(f"SOURCE {storage.url}: holds no images besides the files of OUT")
    return found.listing(closed)


class _Found:
    """What a listing has met so far: media that are not done, and counts of the rest.

    Args:
        storage: SOURCE.
        levels: folders of one upload.
        without: URL or path of OUT, whose files are passed over; None for none.
        done: media that are counted only.
    """

    def __init__(self, storage: Storage, levels: int, without: str | None, done: IdSet) -> None:
        self.storage = storage
        self.n_entries = 0
        self.n_of_out = 0
        self._levels = levels
        self._of_out = _begin_of_out(without)
        self._done = done
        self._n_done = 0
        self._objects = ObjectTable()
        self._some: list[ObjectRef] = []
        self._left_out = LeftOutCounter()
        self._markers: dict[str, datetime] = {}
        self._folders: dict[str, FolderState] = {}
        self._last: tuple[str, FolderState | None] = ("", None)
        self._waiting: list[tuple[ObjectRef, FolderState]] = []

    def add_entry(self, entry: Entry) -> None:
        """Take an object as a storage lists it."""
        self.n_entries += 1
        ref = _ref(self.storage, entry)
        if self._of_out and ref.uri.startswith(self._of_out):
            self.n_of_out += 1
        else:
            self.add(ref, left_out_kind(ref.file))

    def add(self, ref: ObjectRef, kind: LeftOutKind | None) -> None:
        """Take an object, and what it is instead of a medium."""
        folder, _, name = ref.file.rpartition("/")
        if kind is not None:
            self._left_out.add(ref.file, kind)
            if name in _MARKERS:
                self._markers[ref.file] = ref.last_modified_at
            return
        last, state = self._last
        if state is None or last != folder:
            upload = folder_of(ref.file, self._levels)
            state = self._folders.setdefault(upload, FolderState(ref.last_modified_at))
            self._last = (folder, state)
        state.n += 1
        if ref.last_modified_at > state.newest:
            state.newest = ref.last_modified_at
        self._waiting.append((ref, state))
        if len(self._waiting) == _PART:
            self._look_up()

    def _look_up(self) -> None:
        """Keep those of the last objects that are not done."""
        is_done = self._done.has_bytes([ref.media_key for ref, _ in self._waiting])
        if len(self._some) < _SAMPLE:
            self._some += [ref for ref, _ in self._waiting[:_SAMPLE]]
        for (ref, state), skip in zip(self._waiting, is_done.tolist(), strict=True):
            if skip:
                self._n_done += 1
            else:
                state.n_new += 1
                self._objects.append(ref)
        self._waiting.clear()

    def listing(self, closed: ClosedFolders) -> Listing:
        """All of it, once it is found that what there is may be read."""
        self._look_up()
        links = (_below(self.storage, path) for path in self.storage.links_out or ())
        for link in links:
            self._left_out.add(link, LeftOutKind.LINK)
        left_out = self._left_out.counts()
        if not (self._objects or self._n_done or closed.n_folders):
            n = sum(one.n for one in left_out)
            others = f" (only {n} other files; {left_out_line(left_out)})" if left_out else ""
            raise InputError(f"SOURCE {self.storage.url}: holds no images{others}")
        objects = self._objects.by_file()
        objects.pack()
        if not self.storage.listing_is_reading and (objects or self._some):
            _check_readable(self.storage, objects or self._some)
        return Listing(
            objects, self._markers, left_out, self._n_done, self._folders, closed.n_folders, closed.n_objects
        )


def _check_readable(storage: Storage, media: Sequence[ObjectRef]) -> None:
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
    if not file.isascii() and _NO_TEXT.search(file):
        # A name on a disk that is no UTF-8: no table can hold it, so nothing can be read by the names in tables.
        uri, file = (os.fsencode(text).decode("utf-8", "backslashreplace") for text in (uri, file))
        etag = ""
    return ObjectRef(uri, file, entry.size, etag, entry.version_id, entry.modified)


def _file(storage: Storage, entry: Entry) -> str:
    return _below(storage, entry.path)


def _below(storage: Storage, path: str) -> str:
    # One slash only: `card/a.jpg` and `card//a.jpg` are two objects of a bucket, with a name each.
    root = storage.root
    return path[len(root) :].removeprefix("/") if root != "/" else path.removeprefix("/")


def _begin_of_out(folder: str | None) -> str | tuple[str, ...]:
    """How the addresses of the files of OUT begin; for ``str.startswith``."""
    return () if folder is None else open_source(folder).url.rstrip("/") + "/"

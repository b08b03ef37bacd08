"""Many objects of a listing in little memory: what a driver holds of a SOURCE of millions."""

from __future__ import annotations

import marshal
import re
import zlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import overload

from scd_core.storage.objects import FolderState, LeftOut, ObjectRef

__all__ = ["Listing", "ObjectTable"]

_CHUNK = 4096
"""Objects packed together: the more, the smaller; reading one unpacks all of them."""
_MD5 = re.compile(r"[0-9a-f]{32}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class ObjectTable(Sequence[ObjectRef]):
    """Objects in the order in which they came, packed: some 30 bytes each, where an :class:`ObjectRef` takes 450.

    >>> table = ObjectTable([ObjectRef("s3://cards/C01/a.jpg", "C01/a.jpg", 9, "e", None, datetime(2026, 3, 1, tzinfo=UTC))])
    >>> table[0].file, len(table), table.is_sorted
    ('C01/a.jpg', 1, True)
    """

    def __init__(self, objects: Iterable[ObjectRef] = ()) -> None:
        self._packed: list[bytes] = []
        self._starts: list[int] = []
        self._open: list[ObjectRef] = []
        self._length = 0
        self._last_read: tuple[int, list[ObjectRef]] = (-1, [])
        self._last_file = ""
        self.is_sorted = True
        """Whether the objects came sorted by ``file``."""
        for ref in objects:
            self.append(ref)

    def append(self, ref: ObjectRef) -> None:
        """Add an object at the end."""
        if ref.file < self._last_file:
            self.is_sorted = False
        self._last_file = ref.file
        self._open.append(ref)
        self._length += 1
        if len(self._open) == _CHUNK:
            self.pack()

    def pack(self) -> None:
        """Pack what was added last as well; for tables to which nothing is added for a while."""
        if self._open:
            self._starts.append(self._length - len(self._open))
            self._packed.append(_pack(self._open))
            self._open = []

    def by_file(self) -> ObjectTable:
        """The objects sorted by ``file``; itself where they came so. Otherwise all are unpacked meanwhile."""
        return self if self.is_sorted else ObjectTable(sorted(self, key=lambda ref: ref.file))

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[ObjectRef]:
        for packed in self._packed:
            yield from _unpack(packed)
        yield from self._open

    @overload
    def __getitem__(self, place: int) -> ObjectRef: ...
    @overload
    def __getitem__(self, place: slice) -> list[ObjectRef]: ...
    def __getitem__(self, place: int | slice) -> ObjectRef | list[ObjectRef]:
        if isinstance(place, slice):
            return [self._at(number) for number in range(self._length)[place]]
        return self._at(range(self._length)[place])

    def _at(self, place: int) -> ObjectRef:
        chunk = bisect_right(self._starts, place) - 1
        if place >= self._length - len(self._open):
            return self._open[place - self._length]
        number, objects = self._last_read
        if number != chunk:
            objects = _unpack(self._packed[chunk])
            self._last_read = (chunk, objects)
        return objects[place - self._starts[chunk]]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or len(self) != len(other):
            return False
        return all(mine == theirs for mine, theirs in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<{self._length} objects>"


@dataclass(frozen=True)
class Listing:
    """What SOURCE held at one moment."""

    objects: ObjectTable
    """The media that are not done, sorted by ``file``."""
    markers: Mapping[str, datetime]
    """Marker files (``batch.json``, ``_SUCCESS``): path relative to SOURCE -> when it was written (UTC)."""
    left_out: tuple[LeftOut, ...] = ()
    """What SOURCE holds besides media, by kind."""
    n_done: int = 0
    """Media that are done."""
    folders: Mapping[str, FolderState] = field(default_factory=dict)
    """Leading folders of the media, as many as make one upload -> what is in them."""
    n_closed_folders: int = 0
    """Folders that were not looked into."""
    n_closed: int = 0
    """Media that these held when they were listed last."""


def _pack(objects: Sequence[ObjectRef]) -> bytes:
    """Columns of some objects; an address is its folder, which many share, and the name that it has in common with `file`."""
    folders: dict[tuple[str, str], int] = {}
    of_folder, names, etags = [], [], []
    for ref in objects:
        name = ref.file.rpartition("/")[2]
        if not ref.uri.endswith(name):
            name = ""
        cut = len(name)
        folder = (ref.uri[:-cut], ref.file[:-cut]) if cut else (ref.uri, ref.file)
        of_folder.append(folders.setdefault(folder, len(folders)))
        names.append(name)
        etags.append(bytes.fromhex(ref.etag) if _MD5.fullmatch(ref.etag) else ref.etag)
    columns = (
        list(folders), of_folder, names, etags,
        [ref.size_bytes for ref in objects], [ref.version_id for ref in objects],
        [(ref.last_modified_at - _EPOCH) // _MICROSECOND for ref in objects],
    )  # fmt: skip
    return zlib.compress(marshal.dumps(columns), 1)


def _unpack(packed: bytes) -> list[ObjectRef]:
    folders, of_folder, names, etags, sizes, versions, times = marshal.loads(zlib.decompress(packed))
    return [
        ObjectRef(
            folders[folder][0] + name, folders[folder][1] + name, size,
            etag.hex() if isinstance(etag, bytes) else etag, version, _EPOCH + timedelta(microseconds=time),
        )
        for folder, name, etag, size, version, time in zip(of_folder, names, etags, sizes, versions, times, strict=True)
    ]  # fmt: skip

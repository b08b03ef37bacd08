"""Tombstones: what was forgotten, as hashes, so that it does not come back and its name stands nowhere."""

from __future__ import annotations

import hashlib
import io
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.parquet as pq

from scd_core.errors import RunError
from scd_core.tables.folder import OutFolder

__all__ = ["FOLDER", "Medium", "Tombstones", "read_tombstones", "tombstone_ids", "write_tombstone"]

FOLDER = "forgotten"
_SCHEMA = pa.schema([("kind", pa.string()), ("key", pa.binary(16))])
_BETWEEN = re.compile(r"[\s:;,()\"']+")
_KINDS = ("medium", "object", "name", "name_end")


@dataclass(frozen=True)
class Medium:
    """What a picture that is to be forgotten is known by."""

    media_id: str
    file: str
    """Path relative to SOURCE; empty where it is not known."""
    size_bytes: int | None
    """Size of the object; None where there was none to be read, so that whatever comes under its name is forgotten."""


@dataclass(frozen=True)
class Tombstones:
    """Hashes of what was forgotten, by kind.

    A picture comes back neither under its media_id nor as a file of the same path and size, so a copy from a backup, whose
    time is another one, stays away as well; another picture that later has the same path is a new one.
    """

    keys: dict[str, set[bytes]] = field(default_factory=lambda: {kind: set() for kind in _KINDS})

    def __bool__(self) -> bool:
        return any(self.keys.values())

    def has_medium(self, media_id: str, file: str | None = None, size_bytes: int | None = None) -> bool:
        """Whether a picture was forgotten; by its media_id alone where the file is not known."""
        if _digest("medium", media_id) in self.keys["medium"]:
            return True
        if file is None:
            return False
        return any(_digest("object", file, str(size)) in self.keys["object"] for size in (size_bytes, None))

    def has_name(self, name: str, *, in_doubt: bool = False) -> bool:
        """Whether a name that somebody gave is that of a forgotten picture, with or without folders before it.

        Args:
            name: path or address, in the form of any system.
            in_doubt: the name may lack some of the picture's folders.
        """
        ends = _ends(name)
        if any(_digest("name", end) in self.keys["name"] for end in ends):
            return True
        return in_doubt and _digest("name_end", ends[0]) in self.keys["name_end"]

    def has_other_name(self, name: str, files: Iterable[str]) -> bool:
        """Whether a name, joined to a picture that is there, is that of a forgotten one: it agrees with more of its folders.

        Args:
            name: path or address, in the form of any system.
            files: paths and addresses of the picture that is there.
        """
        there = [_ends(file) for file in files]
        whole = {ends[0] for ends in there}
        for end in _ends(name):
            if end in whole:  # a new picture may have the path of a forgotten one
                return False
            if _digest("name", end) in self.keys["name"]:
                return True
            if any(end in ends for ends in there):
                return False
        return False

    def is_mentioned(self, text: str) -> bool:
        """Whether a text has the name of a forgotten picture in it, as a word."""
        return any(self.has_name(word, in_doubt=True) for word in _BETWEEN.split(text) if word)


def tombstone_ids(out: OutFolder) -> list[str]:
    """Names of all tombstones of an OUT, sorted; raises as :meth:`OutFolder.states` does."""
    files = (file.rsplit("/", 1)[-1] for file in out.files(FOLDER))
    return [name.removesuffix(".parquet") for name in files if name.endswith(".parquet")]


def read_tombstones(out: OutFolder, ids: Iterable[str] | None = None) -> Tombstones:
    """The hashes of tombstones; None reads all there are.

    Raises:
        RunError: one cannot be read.
    """
    found = Tombstones()
    for name in tombstone_ids(out) if ids is None else ids:
        relative = f"{FOLDER}/{name}.parquet"
        data = out.get_file(relative)
        try:
            rows = pq.read_table(io.BytesIO(data or b""))
        except (OSError, pa.ArrowInvalid) as error:
            raise RunError(f"{out.url}/{relative}: cannot be read ({error}); what it forgot would come back") from error
        for kind, key in zip(rows["kind"].to_pylist(), rows["key"].to_pylist(), strict=True):
            found.keys[kind].add(key)
    return found


def write_tombstone(out: OutFolder, media: Iterable[Medium], names: Iterable[str] = (), salt: str = "") -> str:
    """Keep away from now on what is to be forgotten.

    Args:
        out: OUT.
        media: the pictures.
        names: further names of them, as people wrote them in labels.
        salt: makes a tombstone another one although it holds the same.

    Returns:
        Its name, a hash over what it holds.

    Raises:
        RunError: OUT cannot be written.
    """
    keys: set[tuple[str, bytes]] = set()
    for one in media:
        size = None if one.size_bytes is None else str(one.size_bytes)
        keys.add(("medium", _digest("medium", one.media_id)))
        if not one.file:
            continue
        keys.add(("object", _digest("object", one.file, str(size))))
        keys |= _name_keys(one.file)
    for name in names:
        keys |= _name_keys(name)
    rows = sorted(keys)
    total = hashlib.sha256(salt.encode())
    for kind, key in rows:
        total.update(kind.encode() + key)
    name = total.hexdigest()[:32]
    sink = io.BytesIO()
    columns = [pa.array([kind for kind, _ in rows]), pa.array([key for _, key in rows], pa.binary(16))]
    pq.write_table(pa.Table.from_arrays(columns, schema=_SCHEMA), sink, compression="zstd")
    out.create_file(f"{FOLDER}/{name}.parquet", sink.getvalue())
    return name


def _name_keys(name: str) -> set[tuple[str, bytes]]:
    ends = _ends(name)
    return {("name", _digest("name", ends[0])), *(("name_end", _digest("name_end", end)) for end in ends)}


def _ends(name: str) -> list[str]:
    """A name in lower case and one Unicode form, with forward slashes, and all its ends from whole folders on.

    >>> _ends("D:\\\\C01\\\\A.JPG")
    ['d:/c01/a.jpg', 'c01/a.jpg', 'a.jpg']
    """
    plain = unicodedata.normalize("NFC", name.replace("\\", "/")).casefold().lstrip("/")
    parts = plain.split("/")
    return ["/".join(parts[start:]) for start in range(len(parts))]


def _digest(*parts: str) -> bytes:
    return hashlib.sha256("\0".join(("trapaudit", *parts)).encode("utf-8", "surrogateescape")).digest()[:16]

"""A set of ids that takes 16 bytes an id: what is committed of a SOURCE of millions."""

from __future__ import annotations

import binascii
import contextlib
import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa

__all__ = ["IdSet", "id_bytes", "ids_of", "ids_of_column"]

_BYTES = 16
_HEX = 2 * _BYTES


def id_bytes(name: str) -> bytes:
    """An id in 16 bytes: those that its 32 hex digits stand for, or a hash of one that is written otherwise."""
    if len(name) == _HEX:
        try:
            found = bytes.fromhex(name)
        except ValueError:
            found = b""
        if len(found) == _BYTES and found.hex() == name:
            return found
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()[:_BYTES]


class IdSet:
    """A set of ids, such as media_id, that never loses one.

    >>> some = IdSet([ids_of(["a", "b"])])
    >>> some.has(["b", "c"]).tolist(), len(some)
    ([True, False], 2)
    """

    def __init__(self, parts: Iterable[np.ndarray] = ()) -> None:
        """Ids of :func:`_ids` or :func:`ids_of_column`, in any order."""
        self._sorted = np.concatenate([ids_of([]), *parts])
        self._sorted.sort()

    def __len__(self) -> int:
        return len(self._sorted)

    def has(self, names: Sequence[str]) -> np.ndarray:
        """Whether each of some ids is in the set: booleans (N,)."""
        return self.has_bytes([id_bytes(name) for name in names])

    def has_bytes(self, keys: Sequence[bytes]) -> np.ndarray:
        """As :meth:`has`, of ids as :func:`id_bytes` gives them."""
        if not len(self._sorted) or not keys:
            return np.zeros(len(keys), bool)
        wanted = _of_bytes(b"".join(keys))
        place = np.searchsorted(self._sorted, wanted)
        place[place == len(self._sorted)] = 0
        return self._sorted[place] == wanted

    def joined(self, parts: Iterable[np.ndarray]) -> IdSet:
        """This set and some more ids."""
        return IdSet([self._sorted, *parts])


def ids_of_column(column: pa.ChunkedArray) -> np.ndarray:
    """The ids in a column of strings without nulls, (N,)."""
    names = column.combine_chunks()  # not with an array of its own: making one would import pandas
    if not len(names):
        return ids_of([])
    offsets = np.frombuffer(names.buffers()[1], np.int32, len(names) + 1, names.offset * 4)
    if (np.diff(offsets) == _HEX).all():
        text = bytes(memoryview(names.buffers()[2])[offsets[0] : offsets[-1]])
        if text == text.lower():
            with contextlib.suppress(binascii.Error):
                return _of_bytes(binascii.unhexlify(text))
    return ids_of(names.to_pylist())


def ids_of(names: Iterable[str]) -> np.ndarray:
    """Some ids as an :class:`IdSet` takes them, (N,)."""
    return _of_bytes(b"".join(map(id_bytes, names)))


def _of_bytes(content: bytes) -> np.ndarray:
    return np.frombuffer(content, f"S{_BYTES}")

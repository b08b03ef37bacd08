"""What is done: the media that are committed for a model and a configuration."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import pyarrow.compute as pc

from scd_core.names import MediaStatus
from scd_core.storage.object_table import ObjectTable
from scd_core.storage.objects import ObjectRef
from scd_core.storage.threads import ordered_map
from scd_core.tables.id_set import IdSet, ids_of_column
from scd_core.tables.store import AuditStore, read_steadily

__all__ = ["DoneMedia", "done_media", "not_done"]

_PART = 4096
_READERS = 4
"""Files of `media` read at once: each has up to 50 000 rows."""


@dataclass(frozen=True)
class DoneMedia:
    """Media that are committed."""

    ids: IdSet
    """media_id of those that have a row with another status than ``missing``."""
    missing: frozenset[str]
    """media_id of those that were ``missing`` in every batch so far."""

    def __len__(self) -> int:
        return len(self.ids) + len(self.missing)


_LAST: dict[tuple[str, str | None, str | None], tuple[int, frozenset[str], DoneMedia]] = {}
_LOCK = threading.Lock()


def done_media(store: AuditStore, model_digest: str | None = None, config_digest: str | None = None) -> DoneMedia:
    """What is committed for a model and a configuration; None is any.

    A run asks for it when it lists SOURCE and when it plans; the second time only batches committed since are read.

    Raises:
        RunError: OUT could not be read.
    """

    def read() -> DoneMedia:
        generation = store.generation().number
        wanted = {
            key: content["files"]["media"]
            for key, content in store.committed().items()
            if model_digest in (None, content["model_digest"])
            and config_digest in (None, content["config_digest"])
            and "media" in content["files"]
        }
        place = (store.url, model_digest, config_digest)
        with _LOCK:
            of_generation, keys, known = _LAST.get(place, (-1, frozenset(), _NOTHING))
        if of_generation != generation or not keys <= wanted.keys():
            keys, known = frozenset(), _NOTHING
        found = _read_more(store, {key: wanted[key] for key in wanted.keys() - keys}, known)
        with _LOCK:
            _LAST.clear()
            _LAST[place] = (generation, frozenset(wanted), found)
        return found

    return read_steadily(store, read)


_NOTHING = DoneMedia(IdSet(), frozenset())


def _read_more(store: AuditStore, files: Mapping[str, str], known: DoneMedia) -> DoneMedia:
    """What was known, and the media of some more files of the table `media`, by batch."""
    if not files:
        return known

    def read(file: str) -> tuple[np.ndarray[Any, Any], list[str]]:
        rows = store.read_files("media", [file], ["media_id", "status"])
        # Comparing with a value would import pandas, which a run with nothing new does without.
        is_missing = pc.match_substring_regex(rows["status"], f"^{MediaStatus.MISSING}$")
        missing = rows.filter(is_missing)["media_id"].to_pylist()
        return ids_of_column(rows.filter(pc.invert(is_missing))["media_id"]), missing

    parts, missing = [], set(known.missing)
    for ids, some in ordered_map(files.values(), read, _READERS, ahead=_READERS):
        parts.append(ids)
        missing.update(some)
    done = known.ids.joined(parts)
    names = sorted(missing)
    still = (name for name, is_done in zip(names, done.has(names), strict=True) if not is_done)
    return DoneMedia(done, frozenset(still))


def not_done(objects: Iterable[ObjectRef], done: IdSet) -> ObjectTable:
    """Those objects whose media_id is not in a set, in their order."""
    found, source = ObjectTable(), iter(objects)
    while part := list(islice(source, _PART)):
        for ref, skip in zip(part, done.has_bytes([ref.media_key for ref in part]).tolist(), strict=True):
            if not skip:
                found.append(ref)
    return found

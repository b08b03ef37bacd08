"""Who works on which media: an append-only log of plans that keeps any two batches apart, whoever makes them."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import fields
from datetime import datetime
from itertools import islice
from typing import Any

import numpy as np

from scd_core.errors import InputError, RunError, first_line
from scd_core.storage import open_source
from scd_core.storage.object_table import ObjectTable
from scd_core.storage.objects import ObjectRef
from scd_core.storage.threads import ordered_map
from scd_core.tables.batches import Batch, cut_batches
from scd_core.tables.done import DoneMedia, done_media
from scd_core.tables.folder import READERS
from scd_core.tables.id_set import IdSet, ids_of
from scd_core.tables.store import AuditStore

__all__ = ["plan_batches", "planned_objects"]

_ROUNDS = 100
_PART = 4096
"""Objects that are looked up at once."""
_FIELDS = tuple(field.name for field in fields(ObjectRef))


def plan_batches(
    store: AuditStore,
    objects: Sequence[ObjectRef],
    *,
    model_digest: str,
    config_digest: str,
    batch_size: int,
    batch_levels: int = 0,
) -> list[Batch]:
    """Plan what is not done, so that no medium is in two batches of one model and configuration.

    Two runs may list SOURCE at different moments, between which a file arrived; planned apart, their batches would
    overlap and both would be committed. So each plan is an entry of a log, ``OUT/plans/<digests>/<number>.json``,
    written create-only under the next number: whoever comes second reads the first one's entry and plans what is left.
    A batch that a run left unfinished is in the log with its objects, so the next run finishes it as it was planned,
    whatever has arrived since.

    Media recorded as ``missing`` are planned again once they can be read.

    Args:
        store: OUT.
        objects: the listing of SOURCE.
        model_digest: digest of the model package.
        config_digest: digest of the settings.
        batch_size: most objects in one batch.
        batch_levels: leading folders of ``file`` that keep batches apart; 0 for none.

    Returns:
        Unfinished batches of these objects, and new ones; those with the oldest objects first.

    Raises:
        RunError: OUT could not be read or written.
    """
    log = _Log(store, model_digest, config_digest)
    for _ in range(_ROUNDS):
        entries = log.entries()
        committed = store.committed_keys()
        unfinished = [batch for key in entries.keys() - committed if (batch := log.batch(key)) is not None]
        done = done_media(store, model_digest, config_digest)
        mine, todo = _todo(objects, unfinished, done)
        new = cut_batches(
            todo,
            model_digest=model_digest,
            config_digest=config_digest,
            batch_size=batch_size,
            batch_levels=batch_levels,
            taken_keys=entries.keys() | committed,
        )
        if not new or log.append(new):
            return sorted(mine + new, key=lambda batch: (batch.batch_date, batch.objects[0].file, batch.batch_key))
    raise RunError(f"{store.url}: {_ROUNDS} other plans came first; run again when fewer runs begin at once")


def _todo(
    objects: Sequence[ObjectRef], unfinished: Sequence[Batch], done: DoneMedia
) -> tuple[list[Batch], ObjectTable]:
    """Unfinished batches that some of the objects are in, and the objects that are to be planned."""
    planned = [ids_of(ref.media_id for ref in batch.objects) for batch in unfinished]
    in_plans, todo, missing = IdSet(planned), ObjectTable(), []
    listed: list[np.ndarray] = []
    for some in _parts(objects):
        names = [ref.media_id for ref in some]
        is_done, is_planned = done.ids.has(names), in_plans.has(names)
        if is_planned.any():
            listed.append(ids_of(name for name, here in zip(names, is_planned, strict=True) if here))
        for ref, name, skip in zip(some, names, is_done | is_planned, strict=True):
            if not skip and name in done.missing:
                missing.append(ref)
            elif not skip:
                todo.append(ref)
    here = IdSet(listed)
    mine = [batch for batch in unfinished if here.has([ref.media_id for ref in batch.objects]).any()]
    for ref in _readable_now(missing):
        todo.append(ref)
    return mine, todo


def _parts(objects: Sequence[ObjectRef]) -> Iterator[list[ObjectRef]]:
    """Some thousand objects at a time."""
    source = iter(objects)
    while part := list(islice(source, _PART)):
        yield part


def planned_objects(store: AuditStore, batch_key: str) -> tuple[ObjectRef, ...]:
    """The objects of a planned batch; none where its plan was removed.

    Raises:
        RunError: OUT could not be read.
    """
    content = _planned(store, batch_key)
    return () if content is None else tuple(_ref(item) for item in content["objects"])


def _planned(store: AuditStore, batch_key: str) -> dict[str, Any] | None:
    file = f"plans/objects/{batch_key}.json.gz"
    data = store.get_file(file)
    try:
        return None if data is None else json.loads(gzip.decompress(data))
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise RunError(f"{store.url}/{file}: is damaged ({first_line(error)}); restore it") from error


class _Log:
    def __init__(self, store: AuditStore, model_digest: str, config_digest: str) -> None:
        self._store = store
        self._folder = f"plans/{model_digest[:24]}-{config_digest[:24]}"
        self._next = 0

    def entries(self) -> dict[str, int]:
        """Batch keys of all plans so far, with the number of their plan."""
        paths = [file for file in self._store.files(self._folder) if file.endswith(".json")]
        found: dict[str, int] = {}
        contents = ordered_map(paths, self._read, READERS, ahead=4 * READERS)
        for number, keys in enumerate(contents):
            found |= dict.fromkeys(keys, number)
        self._next = len(paths)
        return found

    def _read(self, relative: str) -> list[str]:
        keys = self._store.get_json(relative, lambda content: [str(key) for key in content["batch_keys"]])
        if keys is None:
            raise RunError(f"{self._store.url}/{relative}: was removed while it was read; plans must stay")
        return keys

    def batch(self, batch_key: str) -> Batch | None:
        """A planned batch with its objects; None where another program removed them."""
        content = _planned(self._store, batch_key)
        if content is None:
            return None
        objects = ObjectTable(_ref(item) for item in content["objects"])
        objects.pack()
        return Batch(batch_key, datetime.fromisoformat(content["batch_date"]).date(), objects)

    def append(self, batches: Sequence[Batch]) -> bool:
        """Add a plan under the next number; False where another run was first."""
        for batch in batches:
            objects = [_plain(ref) for ref in batch.objects]
            content = {"batch_date": batch.batch_date.isoformat(), "objects": objects}
            # mtime=0: equal batches make equal bytes, so whoever writes them writes the same.
            data = gzip.compress(json.dumps(content).encode("utf-8", "surrogatepass"), mtime=0)
            self._store.create_file(f"plans/objects/{batch.batch_key}.json.gz", data)
        entry = {"batch_keys": [batch.batch_key for batch in batches]}
        return self._store.create_file(f"{self._folder}/{self._next:06}.json", json.dumps(entry).encode())


def _plain(ref: ObjectRef) -> dict[str, Any]:
    # dataclasses.asdict copies every value deeply: 20 s for 100 000 objects where this takes a tenth of a second.
    return {name: getattr(ref, name) for name in _FIELDS} | {"last_modified_at": ref.last_modified_at.isoformat()}


def _ref(item: dict[str, Any]) -> ObjectRef:
    return ObjectRef(**item | {"last_modified_at": datetime.fromisoformat(item["last_modified_at"])})


def _readable_now(refs: Sequence[ObjectRef]) -> list[ObjectRef]:
    """Those objects that are there, as they were listed, and may be read."""

    def look(ref: ObjectRef) -> bool:
        try:
            storage = open_source(ref.uri)
            found = storage.head(storage.path_of(ref.uri), ref.version_id)
        except (OSError, InputError):
            return False
        return found is not None and (found.etag, found.size) == (ref.etag, ref.size_bytes)

    return [ref for ref, ok in zip(refs, ordered_map(refs, look, READERS, ahead=4 * READERS)) if ok]

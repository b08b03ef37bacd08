"""Batches: a listing split so that their names depend on the work alone, and which uploads are complete."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import count

from scd_core.storage.object_table import ObjectTable
from scd_core.storage.objects import ObjectRef

__all__ = ["Batch", "cut_batches", "folder_of", "marked_folders", "split_complete"]


@dataclass(frozen=True)
class Batch:
    """Objects that are audited and committed together."""

    batch_key: str
    """Hash over the objects, the model's digest and the config's digest: the same work has the same name."""
    batch_date: date
    """UTC date of the newest object, so a batch's path does not depend on the day it is run."""
    objects: Sequence[ObjectRef]


def cut_batches(
    objects: Iterable[ObjectRef],
    *,
    model_digest: str,
    config_digest: str,
    batch_size: int,
    done_media: AbstractSet[str] = frozenset(),
    batch_levels: int = 0,
    taken_keys: AbstractSet[str] = frozenset(),
) -> list[Batch]:
    """Cut what is not done yet into batches, in file order.

    Args:
        objects: a listing, in any order.
        model_digest: digest of the model package.
        config_digest: digest of the settings.
        batch_size: most objects in one batch.
        done_media: media_id of objects already committed for this model and these settings.
        batch_levels: leading folders of ``file`` that keep batches apart; 0 puts all folders together.
        taken_keys: names of batches that exist already; work that has to be done once more gets another name.

    Returns:
        Batches of at most ``batch_size`` objects, none of them empty; the same input gives the same batches.
    """
    table = objects if isinstance(objects, ObjectTable) else ObjectTable(objects)
    filling: dict[str, ObjectTable] = {}
    full: dict[str, list[ObjectTable]] = defaultdict(list)
    last: ObjectTable | None = None
    for ref in table.by_file():
        if done_media and ref.media_id in done_media:
            continue
        group = folder_of(ref.file, batch_levels)
        if group not in filling or len(filling[group]) == batch_size:
            filling[group] = ObjectTable()
            full[group].append(filling[group])
        if last is not None and last is not filling[group]:
            last.pack()
        last = filling[group]
        last.append(ref)
    batches = []
    for _, parts in sorted(full.items()):
        for part in parts:
            part.pack()
            keys = (_key(part, model_digest, config_digest, attempt) for attempt in count())
            newest = max(ref.last_modified_at for ref in part)
            key = next(key for key in keys if key not in taken_keys)
            batches.append(Batch(key, newest.astimezone(UTC).date(), part))
    return batches


def _key(objects: Sequence[ObjectRef], model_digest: str, config_digest: str, attempt: int) -> str:
    digest = hashlib.sha256(f"{model_digest}\0{config_digest}".encode())
    for media_id in sorted(ref.media_id for ref in objects):
        digest.update(media_id.encode())
    if attempt:
        digest.update(f"\0{attempt}".encode())
    return digest.hexdigest()[:32]


def folder_of(file: str, levels: int) -> str:
    """The first `levels` folders of a path, or those that it has.

    >>> folder_of("s/d/x/a.jpg", 2), folder_of("a.jpg", 2)
    ('s/d', '')
    """
    return "/".join(file.split("/")[:-1][:levels])


def split_complete(
    objects: Sequence[ObjectRef],
    markers: Mapping[str, datetime],
    *,
    batch_levels: int,
    quiet_seconds: float,
    now: datetime,
    newest: Mapping[str, datetime] | None = None,
) -> tuple[ObjectTable, ObjectTable]:
    """Part uploads that are complete from those still under way.

    A folder (the leading ``batch_levels`` folders of ``file``) is complete when it holds a marker file, or when nothing
    in it was written for the quiet period. A marker covers what was written before it; an object that comes after it
    waits for the quiet period.

    Args:
        objects: the listing.
        markers: path, relative to SOURCE, of each marker file (``batch.json``, ``_SUCCESS``) -> when it was written.
        batch_levels: leading folders that make one upload; 0 for all of SOURCE.
        quiet_seconds: length of the quiet period (s).
        now: the present (UTC).
        newest: upload -> when the newest of its media was written (UTC), where it has more than the objects; None for no more.

    Returns:
        Objects that are ready, and those that have to wait, each in the order given.
    """
    latest: dict[str, datetime] = dict(newest or {})
    for ref in objects if newest is None else ():
        prefix = folder_of(ref.file, batch_levels)
        latest[prefix] = max(latest.get(prefix, ref.last_modified_at), ref.last_modified_at)
    marked = marked_folders(markers, batch_levels)
    quiet = timedelta(seconds=quiet_seconds)
    ready, waiting = ObjectTable(), ObjectTable()
    for ref in objects:
        prefix = folder_of(ref.file, batch_levels)
        is_covered = prefix in marked and ref.last_modified_at <= marked[prefix]
        (ready if is_covered or now - latest[prefix] >= quiet else waiting).append(ref)
    return ready, waiting


def marked_folders(markers: Mapping[str, datetime], levels: int) -> dict[str, datetime]:
    """Folders of a number of levels that have a marker file, each with when the newest was written (UTC).

    Args:
        markers: as :func:`split_complete` takes them.
        levels: folders of one upload; a marker deeper down covers a part of it alone, and does not count.
    """
    marked: dict[str, datetime] = {}
    for file, moment in markers.items():
        if file.count("/") <= levels:
            folder = folder_of(file, levels)
            marked[folder] = max(marked.get(folder, moment), moment)
    return marked

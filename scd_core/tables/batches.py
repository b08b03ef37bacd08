"""Batches: a listing split so that their names depend on the work alone, and which uploads are complete."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import count

from scd_core.storage.objects import ObjectRef

__all__ = ["Batch", "cut_batches", "split_complete"]


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
    groups: dict[str, list[ObjectRef]] = defaultdict(list)
    for ref in sorted((ref for ref in objects if ref.media_id not in done_media), key=lambda ref: ref.file):
        groups[_prefix(ref.file, batch_levels)].append(ref)
    batches = []
    for _, todo in sorted(groups.items()):
        for start in range(0, len(todo), batch_size):
            part = todo[start : start + batch_size]
            keys = (_key(part, model_digest, config_digest, attempt) for attempt in count())
            newest = max(ref.last_modified_at for ref in part)
            key = next(key for key in keys if key not in taken_keys)
            batches.append(Batch(key, newest.astimezone(UTC).date(), tuple(part)))
    return batches


def _key(objects: Sequence[ObjectRef], model_digest: str, config_digest: str, attempt: int) -> str:
    digest = hashlib.sha256(f"{model_digest}\0{config_digest}".encode())
    for media_id in sorted(ref.media_id for ref in objects):
        digest.update(media_id.encode())
    if attempt:
        digest.update(f"\0{attempt}".encode())
    return digest.hexdigest()[:32]


def _prefix(file: str, levels: int) -> str:
    return "/".join(file.split("/")[:-1][:levels])


def split_complete(
    objects: Sequence[ObjectRef],
    markers: Mapping[str, datetime],
    *,
    batch_levels: int,
    quiet_seconds: float,
    now: datetime,
) -> tuple[list[ObjectRef], list[ObjectRef]]:
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

    Returns:
        Objects that are ready, and those that have to wait, each in the order given.
    """
    newest: dict[str, datetime] = {}
    for ref in objects:
        prefix = _prefix(ref.file, batch_levels)
        newest[prefix] = max(newest.get(prefix, ref.last_modified_at), ref.last_modified_at)
    marked: dict[str, datetime] = {}
    for file, moment in markers.items():
        if file.count("/") <= batch_levels:  # a marker deeper down covers a part of the folder alone
            prefix = _prefix(file, batch_levels)
            marked[prefix] = max(marked.get(prefix, moment), moment)
    quiet = timedelta(seconds=quiet_seconds)
    ready: list[ObjectRef] = []
    waiting: list[ObjectRef] = []
    for ref in objects:
        prefix = _prefix(ref.file, batch_levels)
        is_covered = prefix in marked and ref.last_modified_at <= marked[prefix]
        (ready if is_covered or now - newest[prefix] >= quiet else waiting).append(ref)
    return ready, waiting

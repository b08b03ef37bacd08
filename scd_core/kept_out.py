"""What of SOURCE an audit leaves out because of what OUT holds: forgotten pictures, and names that newer files lack."""

from __future__ import annotations

from dataclasses import replace

from scd_core.inputs.counts import LEFT_OUT, PREDICTIONS, FileCounts
from scd_core.joined import Joined
from scd_core.storage import clean_url
from scd_core.storage.object_table import Listing, ObjectTable
from scd_core.tables.batches import folder_of
from scd_core.tables.done import done_media
from scd_core.tables.store import AuditStore
from scd_core.tables.tombstones import read_tombstones

__all__ = ["without_forgotten", "without_names"]


def without_forgotten(
    store: AuditStore, listing: Listing, joined: Joined, source: str, levels: int
) -> tuple[ObjectTable, Joined]:
    """What was not forgotten, with a count of what was; examples of files that were handed in lose its names.

    Args:
        store: OUT.
        listing: of SOURCE; the counts of its folders lose what was forgotten.
        joined: what was handed in.
        source: address of SOURCE.
        levels: leading folders of a path that make one folder that can be closed.

    Raises:
        RunError: OUT could not be read.
    """
    stones = read_tombstones(store)
    if not stones:
        return listing.objects, joined
    stays, n = ObjectTable(), 0
    for one in listing.objects:
        if stones.has_medium(one.media_id, one.file, one.size_bytes):
            n += 1
            listing.folders[folder_of(one.file, levels)].n_new -= 1  # it does not keep its folder from being closed
        else:
            stays.append(one)
    inputs = [one.without(stones.is_mentioned) for one in joined.inputs]
    if n:
        words = f"{n} {'picture that was' if n == 1 else 'pictures that were'} forgotten"
        inputs.append(FileCounts(LEFT_OUT, clean_url(source), n, unusable=n, examples=(words,)))
    return stays, replace(joined, inputs=tuple(inputs))


def without_names(store: AuditStore, objects: ObjectTable, joined: Joined) -> tuple[ObjectTable, Joined]:
    """Without pictures that the predictions lack and OUT holds: a file of new pictures takes no older one its name.

    Args:
        store: OUT.
        objects: what is not committed.
        joined: what was handed in.

    Raises:
        RunError: OUT could not be read.
    """
    names = joined.names
    if names is None or all(one.file in names for one in objects):
        return objects, joined
    lacking = [one.media_id for one in objects if one.file not in names]
    held = {name for name, is_held in zip(lacking, done_media(store).ids.has(lacking), strict=True) if is_held}
    n, stays = len(held), ObjectTable(one for one in objects if one.media_id not in held)
    words = f"{n} {'picture' if n == 1 else 'pictures'} without an entry {'was' if n == 1 else 'were'} audited before and kept"
    inputs = [
        replace(one, notes=(*one.notes, words)) if n and one.kind == PREDICTIONS else one for one in joined.inputs
    ]
    return stays, replace(joined, inputs=tuple(inputs))

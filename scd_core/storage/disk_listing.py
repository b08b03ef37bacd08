"""Listing a folder of a disk in the order of its paths, several folders at once, through links."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from scd_core.storage.entry import Entry, LeaveOut
from scd_core.storage.threads import ordered_map

__all__ = ["entries_below", "entry_at", "leads_out"]

_LISTERS = 4
"""Folders looked into at once: a disk on a network takes its time for each."""
_LOOKED_AT = 20_000
"""Files of one folder that are looked at in that thread; of more, the caller looks at each when its turn comes."""
_Inside = frozenset[tuple[int, int]]


@dataclass(frozen=True)
class _Scanned:
    """What one folder holds, in the order of their paths."""

    items: list[Entry | os.DirEntry[str] | str]
    """Files, looked at or not, and paths of folders."""
    links_out: list[str]
    inside: _Inside
    """The folder and those above it, by device and inode."""


def entries_below(
    folder: str, root: str, links_out: list[str] | None, leave_out: LeaveOut | None = None
) -> Iterator[Entry]:
    """All files below a folder sorted by path, those behind links included; a link that leads nowhere has no ETag.

    A link to a folder that it lies in is not followed.

    Args:
        folder: absolute path; one that is not there holds nothing.
        root: folder that links may lead to.
        links_out: gets the links that lead elsewhere, which are not followed; None follows them all.
        leave_out: folders that are not looked into, by their path below `folder`.

    Raises:
        OSError: a folder may not be read.
    """
    home = os.path.realpath(root) if links_out is not None else None
    start = len(folder) + 1 if folder != "/" else 1

    def scan(place: tuple[str, _Inside]) -> _Scanned | None:
        return _scan(*place, home)

    def walk(scanned: _Scanned | None) -> Iterator[Entry]:
        if scanned is None:
            return
        if links_out is not None:
            links_out.extend(scanned.links_out)
        below = [item for item in scanned.items if isinstance(item, str)]
        if leave_out is not None:
            below = [path for path in below if not leave_out.leaves_out(path[start:])]
        kept = set(below)
        found = ordered_map(((path, scanned.inside) for path in below), scan, _LISTERS, ahead=2 * _LISTERS)
        for item in scanned.items:
            if isinstance(item, str):
                if item in kept:
                    yield from walk(next(found))
            elif (entry := item if isinstance(item, Entry) else _look_at(item)) is not None:
                yield entry

    yield from walk(scan((folder, frozenset())))


def _scan(path: str, above: _Inside, home: str | None) -> _Scanned | None:
    """What a folder holds; None where there is none, or where it lies in itself."""
    try:
        place = os.stat(path)  # noqa: PTH116 - os.stat takes the undecodable names that os.scandir gives
        found = list(os.scandir(path))
    except (FileNotFoundError, NotADirectoryError):
        return None
    if (place.st_dev, place.st_ino) in above:
        return None
    links: list[str] = []
    keyed: list[tuple[str, os.DirEntry[str], bool]] = []
    for item in found:
        if home is not None and item.is_symlink() and leads_out(item.path, home):
            links.append(item.path)
        elif _is_folder(item):
            keyed.append((f"{item.name}/", item, True))
        else:
            keyed.append((item.name, item, False))
    keyed.sort(key=lambda one: one[0])
    looks = len(keyed) <= _LOOKED_AT
    items: list[Entry | os.DirEntry[str] | str] = []
    for _, item, is_folder in keyed:
        if is_folder:
            items.append(item.path)
        elif not looks:
            items.append(item)
        elif (entry := _look_at(item)) is not None:
            items.append(entry)
    return _Scanned(items, links, above | {(place.st_dev, place.st_ino)})


def leads_out(link: str, home: str) -> bool:
    """Whether a link leads to something that is there and not below a folder."""
    target = os.path.realpath(link)
    return target != home and not target.startswith(f"{home.rstrip('/')}/") and os.path.exists(target)  # noqa: PTH110


def _is_folder(item: os.DirEntry[str]) -> bool:
    try:
        return item.is_dir()
    except OSError:  # a link to itself
        return False


def _look_at(item: os.DirEntry[str]) -> Entry | None:
    """A file as a listing gives it, or the link that leads nowhere; None where it is neither."""
    if (entry := entry_at(item.path)) is not None:
        return entry
    if not item.is_symlink() or Path(item.path).exists():
        return None
    written = item.stat(follow_symlinks=False).st_mtime
    return Entry(item.path, 0, "", None, datetime.fromtimestamp(written, UTC))


def entry_at(path: str) -> Entry | None:
    """What a listing gives for one file; None where there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116 - as above
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:
            return None
        raise
    if not stat.S_ISREG(found.st_mode):
        return None
    return Entry(path, found.st_size, str(found.st_mtime_ns), None, datetime.fromtimestamp(found.st_mtime, UTC))

"""Folders of SOURCE that are closed: all in them is committed, nothing more is expected, and a night does not list them."""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from scd_core.storage.object_table import Listing
from scd_core.storage.objects import FolderState
from scd_core.tables.batches import marked_folders
from scd_core.tables.store import AuditStore

__all__ = ["ClosedFolders", "close_folders", "closed_folders"]

FOLDER = "closed"
CHECK_DAYS = 7.0
"""A closed folder is listed again when the last time is so long ago (days)."""
MARKED_DAYS = 1.0
"""A folder with a marker is closed when nothing was written for so long (days): what is late comes on the same day."""


@dataclass
class ClosedFolders:
    """Folders that a listing leaves out; how many it did leave out."""

    checked: Mapping[str, tuple[float, int]] = field(default_factory=dict)
    """Hash of a folder -> when it was listed last (seconds since 1970), and media in it then."""
    above: frozenset[str] = frozenset()
    """Hashes of the folders in which closed ones lie."""
    n_folders: int = 0
    n_objects: int = 0
    left_out: set[str] = field(default_factory=set)
    """Hashes of the folders that were left out."""

    def leaves_out(self, folder: str) -> bool:
        """Whether a folder is closed; it then counts as left out."""
        if not self.checked or (found := self.checked.get(key := _hash(folder))) is None:
            return False
        self.n_folders += 1
        self.n_objects += found[1]
        self.left_out.add(key)
        return True

    def is_above(self, folder: str) -> bool:
        """Whether a closed folder may lie below this one."""
        return bool(self.checked) and (not folder or _hash(folder) in self.above)


def closed_folders(store: AuditStore, source: str, model_digest: str, config_digest: str, levels: int) -> ClosedFolders:
    """The folders that need no listing now.

    None do after what they rest on has changed: a commit that is gone, or files that were replaced.

    Args:
        store: OUT.
        source: address of SOURCE, without credentials.
        model_digest: digest of what gives the names.
        config_digest: digest of the settings.
        levels: folders of one upload.

    Raises:
        RunError: OUT could not be read.
    """
    content = _read(store, _name(source, model_digest, config_digest, levels))
    if content is None or content["generation"] != store.generation().number:
        return ClosedFolders()
    if not store.committed_keys() >= set(content["commits"]):
        return ClosedFolders()
    oldest = (datetime.now(UTC) - timedelta(days=CHECK_DAYS)).timestamp()
    checked = {key: (moment, n) for key, (moment, n) in content["folders"].items() if moment > oldest}
    return ClosedFolders(checked, frozenset(content["above"]))


def close_folders(
    store: AuditStore,
    source: str,
    model_digest: str,
    config_digest: str,
    levels: int,
    listing: Listing,
    closed: ClosedFolders,
    closed_after: float,
) -> int:
    """Note which folders are closed from now on: all media in them are committed, and a marker file or their age shows that they
    are complete.

    Names of folders are kept as hashes, since a folder may have the name of something that is forgotten later.

    Args:
        store: OUT.
        source: as for :func:`closed_folders`, with the two digests and `levels`.
        model_digest: digest of what gives the names.
        config_digest: digest of the settings.
        levels: folders of one upload.
        listing: of SOURCE, held against what is committed.
        closed: what that listing left out.
        closed_after: age of the newest medium from which a folder without a marker is closed (days).

    Returns:
        Folders that are closed.

    Raises:
        RunError: OUT could not be written.
    """
    if not levels:
        return 0
    now = datetime.now(UTC)
    marked = marked_folders(listing.markers, levels)
    folders = {key: closed.checked[key] for key in closed.left_out}
    above = set(closed.above) if folders else set()
    for folder, state in listing.folders.items():
        parts = folder.split("/")
        if len(parts) != levels or not _is_closed(state, marked.get(folder), closed_after, now):
            continue
        folders[_hash(folder)] = (now.timestamp(), state.n)
        above |= {_hash("/".join(parts[:n])) for n in range(1, levels)}
    name = _name(source, model_digest, config_digest, levels)
    before = _read(store, name)
    if not folders and before is None:
        return 0
    is_new = len(folders) > len(closed.left_out)
    if is_new or before is None or before["folders"].keys() != folders.keys():
        content = {
            "generation": store.generation().number,
            "commits": sorted(store.committed_keys()),
            "folders": folders,
            "above": sorted(above),
        }
        store.put_file(f"{FOLDER}/{name}", gzip.compress(json.dumps(content).encode(), mtime=0))
    return len(folders)


def _is_closed(state: FolderState, marked: datetime | None, closed_after: float, now: datetime) -> bool:
    age = now - state.newest
    if state.n_new:
        return False
    if marked is not None and marked >= state.newest and age > timedelta(days=MARKED_DAYS):
        return True
    return age > timedelta(days=closed_after)


def _name(source: str, model_digest: str, config_digest: str, levels: int) -> str:
    content = "\0".join((source, model_digest, config_digest, str(levels)))
    return f"{hashlib.sha256(content.encode()).hexdigest()[:32]}.json.gz"


def _hash(folder: str) -> str:
    return hashlib.sha256(folder.encode("utf-8", "surrogateescape")).hexdigest()[:24]


def _read(store: AuditStore, name: str) -> dict[str, Any] | None:
    """What was noted of a SOURCE; None where nothing was, or where it cannot be understood, so that all is listed."""
    data = store.get_file(f"{FOLDER}/{name}")
    try:
        return None if data is None else json.loads(gzip.decompress(data))
    except (OSError, EOFError, ValueError, zlib.error):
        return None

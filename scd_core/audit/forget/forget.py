"""What of an audit is to be forgotten, found by media, file, camera, batch or date, and its removal."""

from __future__ import annotations

import fnmatch
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

import pyarrow as pa

from scd_core.config import AuditConfig
from scd_core.errors import InputError
from scd_core.inputs.joining import fold_path, path_as_joined
from scd_core.names import ForgetBy, MediaStatus
from scd_core.storage.threads import ordered_map
from scd_core.tables.folder import READERS
from scd_core.tables.forgetting import Forgotten, read_there, settle_forgotten
from scd_core.tables.plans import planned_objects
from scd_core.tables.store import AuditStore
from scd_core.tables.tombstones import Medium, write_tombstone

__all__ = ["Chosen", "choose_forgotten", "forget_chosen", "newest_config"]

_NEAR = 3
_COLUMNS = ["media_id", "file", "uri", "size_bytes", "camera_id", "status", "captured_at", "last_modified_at"]


class _Picture(NamedTuple):
    media_id: str
    batch_key: str
    file: str
    uri: str
    size_bytes: int | None
    camera_id: str | None
    is_missing: bool
    day: date

    @property
    def medium(self) -> Medium:
        """What it is known by in a tombstone."""
        return Medium(self.media_id, self.file, None if self.is_missing else self.size_bytes)


@dataclass(frozen=True)
class Chosen:
    """What is to be forgotten; nothing is changed yet."""

    media: list[Medium] = field(default_factory=list)
    """Pictures of committed batches, and of planned ones that are not finished."""
    elsewhere: list[Medium] = field(default_factory=list)
    """The same pictures by other paths, which they have below another SOURCE."""
    label_files: list[str] = field(default_factory=list)
    """Files that labels name and that fit none of these pictures."""
    batches: Counter[str] = field(default_factory=Counter)
    """Batch -> its pictures among them."""
    n_planned: int = 0
    """Of the pictures those of batches that are not finished."""
    near: list[str] = field(default_factory=list)
    """Where nothing is meant: paths that the patterns fit in other letters or with folders before them, the first few."""

    def __bool__(self) -> bool:
        return bool(self.media or self.label_files)


def choose_forgotten(out: str, by: ForgetBy, values: Sequence[str]) -> Chosen:
    """Find the pictures that are meant.

    Args:
        out: OUT.
        by: what the values are: media_id; patterns of paths relative to SOURCE or of addresses, in which ``*`` stands for
            anything, slashes included, and which fit as they are written as well; camera_id; batch_key; or a date, of which all
            that was captured before is meant, and what has no time of capture by its time of modification.
        values: one or more of them; of dates one.

    Raises:
        InputError: OUT holds no audit, or a value cannot be understood.
        RunError: OUT cannot be read.
    """
    store, is_meant = AuditStore(out), _condition(by, values)
    store.check_begun()
    chosen = Chosen()
    planned = [one for one in _planned(store) if is_meant(one)]
    found = _found(store, is_meant)
    if by is ForgetBy.FILE:
        labels = set(store.read("labels", ["file"]).column("file").to_pylist()) - {"", *(one.file for one in found)}
        matches = _matcher(values)
        chosen.label_files.extend(sorted(file for file in labels if matches(file)))
    seen = {(one.media_id, one.batch_key) for one in found}
    planned = [one for one in planned if (one.media_id, one.batch_key) not in seen]
    chosen.batches.update(one.batch_key for one in (*found, *planned))
    media = {one.media_id: one for one in sorted((*planned, *found), key=lambda one: one.file != "")}
    chosen.media.extend(one.medium for one in sorted(media.values(), key=lambda one: (one.file, one.media_id)))
    named = set(chosen.media)
    chosen.elsewhere.extend({one.medium: None for one in found if one.file and one.medium not in named})
    near = _near(store, values) if by is ForgetBy.FILE and not chosen else []
    return Chosen(
        chosen.media, chosen.elsewhere, chosen.label_files, chosen.batches, len({one.media_id for one in planned}), near
    )


def forget_chosen(out: str, chosen: Chosen) -> Forgotten:
    """Keep away from now on what was chosen, and remove it from every file of OUT.

    Args:
        out: OUT.
        chosen: of :func:`choose_forgotten`; nothing chosen takes up what another call left unfinished.

    Raises:
        RunError: OUT could not be read or written; the next run, or the same call, goes on.
    """
    store = AuditStore(out)
    store.check_writable()
    if chosen:
        write_tombstone(store, (*chosen.media, *chosen.elsewhere), chosen.label_files)
    return settle_forgotten(store)


def newest_config(out: str) -> AuditConfig | None:
    """Settings of the newest run, with which the report of what is left is drawn; None where no picture is left.

    Raises:
        RunError: OUT cannot be read.
    """
    store = AuditStore(out)
    if not any("media" in content["files"] for content in store.committed().values()):
        return None
    runs = store.read("runs", ["finished_at", "config"]).to_pylist()
    newest = max((row for row in runs if row["config"]), key=lambda row: row["finished_at"], default=None)
    try:
        return AuditConfig() if newest is None else AuditConfig.model_validate_json(newest["config"])
    except ValueError:  # settings of another version
        return AuditConfig()


def _condition(by: ForgetBy, values: Sequence[str]) -> Callable[[_Picture], bool]:
    wanted = set(values)
    if not all(value.strip() for value in values):
        raise InputError(f"--{by}: is empty; give what is to be forgotten")
    if by is ForgetBy.MEDIA:
        return lambda one: one.media_id in wanted
    if by is ForgetBy.CAMERA:
        return lambda one: one.camera_id in wanted
    if by is ForgetBy.BATCH:
        return lambda one: one.batch_key in wanted
    if by is ForgetBy.FILE:
        matches = _matcher(values)
        return lambda one: matches(one.file) or matches(one.uri)
    try:
        (day,) = (date.fromisoformat(value) for value in values)
    except ValueError as error:
        raise InputError(f"--before {' '.join(values)}: is no date; give one such as 2026-03-01") from error
    return lambda one: one.day < day


def _matcher(patterns: Sequence[str]) -> Callable[[str], bool]:
    """Whether a path or an address fits one of the patterns, or is one as it is written; letters in their case.

    Slashes of either kind, ``./`` and Unicode forms make no difference, and the address of a file may lack its ``file://``.
    """
    wanted = {_plain(form) for pattern in patterns for form in (pattern, path_as_joined(pattern))}
    whole = re.compile("|".join(fnmatch.translate(one) for one in sorted(wanted)))

    def matches(path: str) -> bool:
        forms = {_plain(path), _plain(path.removeprefix("file://"))}
        return any(form in wanted or whole.match(form) is not None for form in forms)

    return matches


def _plain(path: str) -> str:
    """A path with forward slashes, in one Unicode form."""
    return unicodedata.normalize("NFC", path.replace("\\", "/"))


def _near(store: AuditStore, patterns: Sequence[str]) -> list[str]:
    """The first few pictures that patterns would fit in letters of another case, or with folders before them."""
    folded = [fold_path(path_as_joined(pattern)).lstrip("/") for pattern in patterns]
    matches = _matcher([form for one in folded for form in (one, f"*/{one}")])
    found = dict.fromkeys(one.file for one in _pictures(store) if matches(fold_path(one.file)))
    return list(found)[:_NEAR]


def _pictures(store: AuditStore) -> Iterator[_Picture]:
    """The pictures of committed batches; of one whose file was removed, what reports know of it."""
    commits = store.committed()
    lost = set()

    def read(key: str) -> pa.Table:
        return read_there(store, "media", commits[key]["files"].get("media"), _COLUMNS)

    for key, rows in zip(commits, ordered_map(commits, read, READERS, ahead=2 * READERS), strict=True):
        if not len(rows):
            lost.add(key)
        for row in rows.to_pylist():
            day = (row["captured_at"] or row["last_modified_at"]).date()
            is_missing = row["status"] == MediaStatus.MISSING
            yield _Picture(
                row["media_id"], key, row["file"], row["uri"], row["size_bytes"], row["camera_id"], is_missing, day
            )
    if lost:
        known = store.read("errors", ["batch_key", "media_id", "camera_id", "captured_at"]).to_pylist()
        for row in known:
            if row["batch_key"] in lost and row["captured_at"] is not None:
                day = row["captured_at"].date()
                yield _Picture(row["media_id"], row["batch_key"], "", "", None, row["camera_id"], False, day)


def _found(store: AuditStore, is_meant: Callable[[_Picture], bool]) -> list[_Picture]:
    """Pictures of committed batches that are meant; below other SOURCEs, where they have other paths, as well."""
    found, sources = [], set[str]()
    for one in _pictures(store):
        if len(sources) < 2:
            sources.add(one.uri.removesuffix(one.file))
        if is_meant(one):
            found.append(one)
    if not found or len(sources) < 2:
        return found
    ids = {one.media_id for one in found}
    return [one for one in _pictures(store) if one.media_id in ids]


def _planned(store: AuditStore) -> Iterator[_Picture]:
    """Objects of batches, as they were planned; of a batch that lost its tables that is all that is known."""
    for file in store.files("plans/objects"):
        key = file.rsplit("/", 1)[-1].removesuffix(".json.gz")
        for one in planned_objects(store, key):
            day = one.last_modified_at.date()
            yield _Picture(one.media_id, key, one.file, one.uri, one.size_bytes, None, False, day)

"""What OUT no longer needs, and what it has lost: pruning and repairing."""

from __future__ import annotations

import io
import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from scd_core.errors import DamagedError, RunError
from scd_core.tables.folder import file_key
from scd_core.tables.forgetting import settle_forgotten
from scd_core.tables.generations import begin_generation
from scd_core.tables.schema import DERIVED, PARTITION
from scd_core.tables.store import AuditStore

__all__ = ["Lost", "Pruned", "find_lost", "prune_out", "repair_out"]

_REPORTS_KEPT = 2
"""Newest reports that stay whatever their age: a report compares itself with the one before."""
_ROUNDS = 20


class _Old(NamedTuple):
    """A file that is not needed."""

    kind: str
    file: str
    size_bytes: int


@dataclass
class Pruned:
    """What was removed, or would be, by kind."""

    files: Counter[str] = field(default_factory=Counter)
    size_bytes: Counter[str] = field(default_factory=Counter)


@dataclass
class Lost:
    """Files that count and that are gone or damaged."""

    batches: dict[str, list[str]] = field(default_factory=dict)
    """Batch -> its files; the batch can be audited again."""
    reports: list[str] = field(default_factory=list)
    """Of reports; the next report makes new ones."""
    labels: list[str] = field(default_factory=list)
    """Of labels, which nothing can make again."""
    notes: list[str] = field(default_factory=list)
    """What `improve` expected, and certificates; the next `improve` and the next report make new ones."""

    def __bool__(self) -> bool:
        return bool(self.batches or self.reports or self.labels or self.notes)


def prune_out(
    store: AuditStore,
    keep_reports: timedelta,
    keep_work: timedelta,
    *,
    dry_run: bool = False,
    now: datetime | None = None,
) -> Pruned:
    """Remove what nobody needs: tables of old reports, work that nobody goes on with, plans of done batches, kept pictures.

    Rows of batches and labels stay. Work that is removed is done again, should its model ever be run again.

    Args:
        store: OUT.
        keep_reports: age up to which reports stay; the two newest stay whatever their age.
        keep_work: age up to which unfinished work and files of batches that were never committed stay.
        dry_run: only count.
        now: the time; None is now.

    Raises:
        InputError: a newer version wrote to OUT.
        RunError: OUT could not be read or written.
    """
    store.committed()  # one of a newer version ends here
    pruned, now = Pruned(), now or datetime.now(UTC)
    for old in [*_old_reports(store, now - keep_reports), *_old_work(store, now - keep_work)]:
        pruned.files[old.kind] += 1
        pruned.size_bytes[old.kind] += old.size_bytes
        if not dry_run:
            store.delete_file(old.file)
    if not dry_run:
        store.storage.remove_empty_folders("work")
        store.storage.sweep_temporary()
    return pruned


def find_lost(store: AuditStore, notes: Mapping[str, Callable[[Any], object]]) -> Lost:
    """Files of committed batches, of reports and of imports that are gone, or whose content cannot be read.

    Every file is read whole, so it takes as long as reading all of OUT.

    Args:
        store: OUT.
        notes: folder of JSON files that can be made again -> what is made of the content of one, and fails where it is damaged.

    Raises:
        RunError: the storage did not answer.
    """

    def damaged(file: str) -> bool:
        data = store.get_file(file)
        try:
            pq.read_table(io.BytesIO(data or b""))
        except (OSError, pa.ArrowInvalid):
            return True
        return False

    lost = Lost()
    for file in store.lost_files(damaged):
        table = file.split("/", 1)[0]
        if table == "labels":
            lost.labels.append(file)
        elif table in DERIVED:
            lost.reports.append(file)
        else:
            lost.batches.setdefault(file_key(file), []).append(file)
    for folder, make in notes.items():
        lost.notes += [file for file in store.files(folder) if _is_damaged(store, file, make)]
    return lost


def _is_damaged(store: AuditStore, file: str, make: Callable[[Any], object]) -> bool:
    try:
        store.get_json(file, make)
    except DamagedError:
        return True
    return False


def repair_out(store: AuditStore, lost: Lost) -> None:
    """Let batches that lost a file count as not audited, so that the next run audits their pictures again, and drop lost reports.

    What is left of such a batch is removed too: rows of one batch belong together. Labels stay, and count again afterwards.

    Args:
        store: OUT.
        lost: what :func:`find_lost` gave.

    Raises:
        RunError: OUT could not be read or written.
    """
    for file in lost.notes:
        store.delete_file(file)
    if not lost.batches and not lost.reports:
        return
    for _ in range(_ROUNDS):
        before, token = store.generation(), secrets.token_hex(4)
        originals = {file: original for original, file in before.files.items() if file is not None}
        names = {originals.get(file, file).split("/", 1)[1] for file in lost.reports}
        made = replace(
            before,
            number=before.number + 1,
            batches={**before.batches, **{key: {"files": {}, "counts": {}} for key in lost.batches}},
            files={**before.files, **{f"{table}/{name}": None for table in DERIVED for name in names}},
        )
        if begin_generation(store, made, token):
            settle_forgotten(store)
            return
    raise RunError(f"{store.url}: {_ROUNDS} others changed it first; try again")


def _old_reports(store: AuditStore, before: datetime) -> Iterator[_Old]:
    sizes = _sizes(store)
    reports = sorted({file_key(file) for table in DERIVED for file in store.committed_files(table)})
    stay = set(reports[-_REPORTS_KEPT:])
    for table in DERIVED:
        for file in store.committed_files(table):
            day = datetime.fromisoformat(file.split("/")[1].partition("=")[2]).replace(tzinfo=UTC)
            if file_key(file) not in stay and day + timedelta(days=1) <= before:
                yield _Old("tables of old reports", file, sizes[file][0])


def _old_work(store: AuditStore, before: datetime) -> Iterator[_Old]:
    committed, named = store.committed_keys(), store.generation().named()
    for file, (size, modified) in _sizes(store).items():
        folder, name = file.split("/", 1)[0], file_key(file)
        if modified > before:
            continue
        if folder == "work":
            yield _Old("unfinished work", file, size)
        elif file.startswith("plans/objects/") and name.removesuffix(".json.gz") in committed:
            yield _Old("plans of batches that are done", file, size)
        elif PARTITION.get(folder) == "batch_date" and name not in committed and file not in named:
            yield _Old("files of batches that were never committed", file, size)
        elif folder == "review" and not file.startswith("review/queues/"):
            yield _Old("kept pictures of the review", file, size)


def _sizes(store: AuditStore) -> dict[str, tuple[int, datetime]]:
    """Every file of OUT -> its size (bytes) and when it was written."""
    start = len(store.storage.path(""))
    try:
        return {entry.path[start:]: (entry.size, entry.modified) for entry in store.storage.entries("")}
    except OSError as error:
        raise RunError(f"{store.url}: cannot be listed ({store.storage.explain(error)})") from error

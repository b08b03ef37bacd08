"""Forgetting: rows of pictures leave every table at once, by a new generation of OUT, and what was made of them is removed."""

from __future__ import annotations

import json
import secrets
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from scd_core.errors import RunError
from scd_core.storage.threads import ordered_map
from scd_core.tables import generations, tombstones
from scd_core.tables.counts import batch_counts, mask_counts
from scd_core.tables.folder import READERS, generation_of
from scd_core.tables.generations import Generation, begin_generation
from scd_core.tables.plans import planned_objects
from scd_core.tables.schema import DERIVED, PARTITION, TABLES, empty_table
from scd_core.tables.scrub import Gone, is_label_of, scrub_batch, scrub_derived, scrub_labels, scrub_runs
from scd_core.tables.shards import drop_work
from scd_core.tables.store import AuditStore
from scd_core.tables.tombstones import Medium, Tombstones, read_tombstones, tombstone_ids, write_tombstone

__all__ = ["Forgotten", "drop_made", "find_gone", "forget_again", "read_there", "settle_forgotten"]

_ROUNDS = 50
_MADE = ("state", "review", "report")
"""Folders of what was made from the rows; all of it can be made again."""
_PICTURES = tuple(table for table in TABLES if table not in (*DERIVED, "labels", "runs"))
"""Tables of a batch with rows of its pictures, `media` first."""
_KEYS = ["media_id", "file", "uri", "size_bytes", "status", "duplicate_of", "camera_id", "deployment_id"]


@dataclass
class Forgotten:
    """What was removed."""

    number: int = 0
    """Of the generation; 0 where nothing was."""
    rows: Counter[str] = field(default_factory=Counter)
    """Table -> rows removed."""
    n_copies: int = 0
    """Copies of the same bytes that rested on a removed picture; the next run audits them."""


def settle_forgotten(store: AuditStore) -> Forgotten:
    """Remove the rows of every tombstone that is not applied yet, and what was made of them; may be called at any time.

    New files are written beside the old ones, then one create-only file makes them count, then the old ones are removed. A
    call that dies leaves what the next one takes up; of two at once each applies what the other has not.

    Raises:
        RunError: OUT could not be read or written.
    """
    done = Forgotten()
    for _ in range(_ROUNDS):
        generation = store.generation()
        pending = set(tombstone_ids(store)) - generation.applied
        if not pending:
            if generation.number and not store.has_file(_receipt(generation.number)):
                _clean(store, generation, done)
            return done
        token = secrets.token_hex(4)
        try:
            made, done = _make(store, generation, pending, token)
        except RunError:  # another one removed what this one was about to read
            if store.generation().number == generation.number:
                raise
            continue
        if begin_generation(store, made, token):
            _clean(store, made, done)
            return done
    raise RunError(f"{store.url}: {_ROUNDS} others changed it first; try again")


def forget_again(store: AuditStore, batch_key: str, media: pa.Table) -> None:
    """Remove from a batch that was just committed what was forgotten while it was worked on.

    Args:
        store: OUT.
        batch_key: the batch.
        media: its rows of `media`.

    Raises:
        RunError: OUT could not be read or written.
    """
    stones = read_tombstones(store)
    if not stones:
        return
    columns = (media.column(name).to_pylist() for name in ("media_id", "file", "size_bytes"))
    found = [Medium(*row) for row in zip(*columns, strict=True) if stones.has_medium(*row)]
    if found:
        write_tombstone(store, found, salt=batch_key)
        settle_forgotten(store)


def find_gone(store: AuditStore, stones: Tombstones, commits: Mapping[str, Mapping[str, Any]]) -> Gone:
    """What of an OUT was forgotten: pictures of each batch, their names, and the places of which no picture is left.

    Args:
        store: OUT.
        stones: what is to go.
        commits: what :meth:`AuditStore.committed` gave.

    Raises:
        RunError: a file cannot be read.
    """
    gone = Gone(stones)
    here: set[tuple[str, str]] = set()
    labels = store.read("labels", ["media_id", "file"])
    labelled = set(labels["media_id"].to_pylist()) - {None}

    def look(key: str) -> pa.Table:
        return read_there(store, "media", commits[key]["files"].get("media"), _KEYS)

    for key, media in zip(commits, ordered_map(commits, look, READERS, ahead=2 * READERS), strict=True):
        rows = media.to_pylist()
        if not rows and "media" in commits[key]["files"] and not store.has_file(commits[key]["files"]["media"]):
            planned = planned_objects(store, key)  # somebody removed its file: whatever is left of it goes too
            gone.batches[key] = frozenset(one.media_id for one in planned)
            for one in planned:
                if stones.has_medium(one.media_id, one.file, one.size_bytes):
                    gone.add_name(one.file)
        lost = {row["media_id"] for row in rows if stones.has_medium(row["media_id"], row["file"], row["size_bytes"])}
        copies = {row["media_id"] for row in rows if row["duplicate_of"] in lost} - lost if lost else set()
        if lost:
            gone.batches[key] = frozenset(lost | copies)
            gone.copies |= copies
            gone.copy_files |= {
                row["file"]: row["media_id"] for row in rows if row["media_id"] in copies and row["file"]
            }
        for row in rows:
            places = {(name, row[name]) for name in ("camera_id", "deployment_id") if row[name] is not None}
            if row["media_id"] in lost:
                gone.add_name(row["file"])
                gone.places |= places
            else:
                here |= places
                if (name := row["duplicate_of"] or row["media_id"]) in labelled:
                    gone.labelled.setdefault(name, set()).update((row["file"], row["uri"]))
    gone.places -= here
    for media_id, file in set(zip(labels["media_id"].to_pylist(), labels["file"].to_pylist(), strict=True)):
        if is_label_of(media_id, file, gone):
            gone.add_name(file)
    return gone


def read_there(store: AuditStore, table: str, file: str | None, columns: list[str] | None = None) -> pa.Table:
    """Rows of a file; none where it is not there, since somebody removed it by hand."""
    if file is not None and store.has_file(file):
        return store.read_files(table, [file], columns)
    rows = empty_table(table)
    return rows if columns is None else rows.select(columns)


def _make(store: AuditStore, before: Generation, pending: Collection[str], token: str) -> tuple[Generation, Forgotten]:
    """Write the files of the next generation; it counts for nobody yet."""
    commits = store.committed()
    gone = find_gone(store, read_tombstones(store, pending), commits)
    ending = f"g{before.number + 1:06}-{token}"
    done = Forgotten(before.number + 1, n_copies=len(gone.copies))
    batches = dict(before.batches)
    for key, content in commits.items():
        if (changed := _batch(store, content, gone, gone.batches.get(key), ending, done)) is not None:
            batches[key] = changed
    files = dict(before.files) | _imports(store, before, gone, ending, done)
    files |= _reports(store, before, gone, ending, done)
    _drop_expectations(store, gone)
    return replace(
        before, number=before.number + 1, applied=before.applied | set(pending), batches=batches, files=files
    ), done


def _batch(
    store: AuditStore, content: Mapping[str, Any], gone: Gone, lost: frozenset[str] | None, ending: str, done: Forgotten
) -> dict[str, Any] | None:
    """Files and counts that stand in place of a batch's; None where nothing changes."""
    files: dict[str, str] = {}
    runs = read_there(store, "runs", content["files"].get("runs"))
    if lost is None:
        told = scrub_runs(runs, gone)
        if told.equals(runs):
            return None
        files = dict(content["files"]) | {"runs": store.rewrite_table("runs", told, content["files"]["runs"], ending)}
        return {"files": files, "counts": content.get("counts", {})}
    left: dict[str, pa.Table] = {}
    for table in _PICTURES:
        file = content["files"].get(table)
        rows = read_there(store, table, file)
        is_left = len(left.get("media", rows)) > 0
        left[table] = scrub_batch(rows, lost if is_left else rows.column("media_id").drop_null().to_pylist())
        done.rows[table] += len(rows) - len(left[table])
        if file is not None and len(left[table]):
            files[table] = store.rewrite_table(table, left[table], file, ending)
    counts = batch_counts(left)
    if len(runs):
        files["runs"] = store.rewrite_table(
            "runs", scrub_runs(runs, gone, {**counts, **mask_counts(left)}), content["files"]["runs"], ending
        )
    return {"files": files, "counts": counts}


def _imports(store: AuditStore, before: Generation, gone: Gone, ending: str, done: Forgotten) -> dict[str, str | None]:
    """File of labels -> what stands in its place, of those that change."""
    changed: dict[str, str | None] = {}
    for original, file in _written(store, before, "labels").items():
        rows = store.read_files("labels", [file])
        left = scrub_labels(rows, gone)
        if not left.equals(rows):
            done.rows["labels"] += len(rows) - len(left)
            changed[original] = store.rewrite_table("labels", left, file, ending) if len(left) else None
    return changed


def _reports(store: AuditStore, before: Generation, gone: Gone, ending: str, done: Forgotten) -> dict[str, str | None]:
    """File of a report -> what stands in its place; where one table of a report changes all of them get the new name."""
    changed: dict[str, str | None] = {}
    written = {table: _written(store, before, table) for table in DERIVED}
    for report in sorted({original.split("/", 1)[1] for table in DERIVED for original in written[table]}):
        files = {table: written[table].get(f"{table}/{report}") for table in DERIVED}
        rows = {table: store.read_files(table, [file]) for table, file in files.items() if file is not None}
        left = {table: scrub_derived(found, gone) for table, found in rows.items()}
        if any(not left[table].equals(rows[table]) for table in rows):
            for table, found in left.items():
                done.rows[table] += len(rows[table]) - len(found)
                changed[f"{table}/{report}"] = store.rewrite_table(table, found, files[table] or "", ending)
    return changed


def _drop_expectations(store: AuditStore, gone: Gone) -> None:
    """Remove what runs of `improve` expected, of those that name a camera of which no picture is left."""
    for file in store.files("improvements"):
        rows = store.get_json(file, list) or []
        if any(("camera_id", row["camera_id"]) in gone.places for row in rows):
            store.delete_file(file)


def _written(store: AuditStore, generation: Generation, table: str) -> dict[str, str]:
    """File of labels or of a report as it was written first -> the one that counts now, of those that count."""
    originals = {file: original for original, file in generation.files.items() if file is not None}
    return {originals.get(file, file): file for file in store.committed_files(table)}


def _clean(store: AuditStore, generation: Generation, done: Forgotten) -> None:
    """Remove what no longer counts and what was made of it, and write the receipt, which is the end of it."""
    named = generation.named()
    days = {key: content["batch_date"] for key, content in store.committed().items() if key in generation.batches}
    replaced = set(generation.files) | {
        f"{table}/{PARTITION[table]}={day}/{key}.parquet" for key, day in days.items() for table in (*_PICTURES, "runs")
    }
    for table in PARTITION:
        for file in store.files(table):
            is_old = 0 < generation_of(file) <= generation.number or file in replaced
            if is_old and file not in named:
                store.delete_file(file)
    drop_made(store)
    _drop_plans(store, generation)
    store.storage.sweep_temporary(after_seconds=600)
    note = {
        "generation": generation.number,
        "forgotten_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "rows": {table: n for table, n in sorted(done.rows.items()) if n},
        "copies_to_audit_again": done.n_copies,
        "tombstones": sorted(generation.applied),
    }
    store.put_file(_receipt(generation.number), json.dumps(note, indent=1).encode())
    for file in store.files(generations.FOLDER):
        if int(file.rsplit("/", 1)[-1].removesuffix(".json")) < generation.number - 1:
            store.delete_file(file)


def drop_made(store: AuditStore) -> None:
    """Remove what was made from the rows besides the tables: the page, kept queues and pictures, rows kept for reports.

    Raises:
        RunError: OUT could not be read or written.
    """
    for folder in _MADE:
        for file in store.files(folder):
            store.delete_file(file)
        store.storage.remove_empty_folders(folder)


def _drop_plans(store: AuditStore, generation: Generation) -> None:
    """Remove the plans of batches that held something forgotten, and unfinished work of them, which the next run plans anew."""
    stones = read_tombstones(store, generation.applied)
    committed = store.committed_keys()
    for file in store.files("plans/objects"):
        key = file.rsplit("/", 1)[-1].removesuffix(".json.gz")
        is_ours = key in generation.batches or any(
            stones.has_medium(one.media_id, one.file, one.size_bytes) for one in planned_objects(store, key)
        )
        if is_ours:
            store.delete_file(file)
            if key not in committed:
                drop_work(store, key)


def _receipt(number: int) -> str:
    return f"{tombstones.FOLDER}/{number:06}.json"

"""No medium is ever in two batches, whoever plans, and what was left unfinished is finished as it was planned."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from scd_core.config import MediaConfig
from scd_core.errors import RunError
from scd_core.media import describe_objects, list_objects
from scd_core.storage.objects import ObjectRef
from scd_core.tables.batches import Batch
from scd_core.tables.done import done_media
from scd_core.tables.plans import plan_batches
from scd_core.tables.schema import table_from_rows
from scd_core.tables.store import AuditStore

NOON = datetime(2024, 5, 3, 12, tzinfo=UTC)


def ref(file: str, root: str = "/nowhere", etag: str = "e") -> ObjectRef:
    return ObjectRef(f"file://{root}/{file}", file, 1, etag, None, NOON)


def plan(
    store: AuditStore, objects: list[ObjectRef], size: int = 100, levels: int = 0, model: str = "m"
) -> list[Batch]:
    return plan_batches(store, objects, model_digest=model, config_digest="c", batch_size=size, batch_levels=levels)


def commit(store: AuditStore, batch: Batch, status: str = "ok") -> None:
    rows = [{"media_id": r.media_id, "file": r.file, "status": status} for r in batch.objects]
    path = store.write_table("media", table_from_rows("media", rows), batch.batch_date, batch.batch_key)
    content = {"model_digest": "m", "config_digest": "c", "batch_date": str(batch.batch_date), "files": {"media": path}}
    store.commit(batch.batch_key, content)


@pytest.fixture
def store(tmp_path) -> AuditStore:
    return AuditStore(str(tmp_path / "out"))


def test_what_is_committed_is_not_planned_again_and_a_late_file_makes_a_small_batch(store):
    objects = [ref(f"{n}.jpg") for n in range(5)]
    (batch,) = plan(store, objects)
    commit(store, batch)
    assert plan(store, objects) == []
    (late,) = plan(store, [*objects, ref("late.jpg")])
    assert [r.file for r in late.objects] == ["late.jpg"]
    assert len(plan(store, objects, model="another")) == 1


def test_an_unfinished_batch_is_finished_as_planned_and_the_late_file_goes_elsewhere(store):
    objects = [ref(f"{n}.jpg") for n in range(5)]
    (first,) = plan(store, objects)
    again = plan(store, [*objects, ref("0_late.jpg")])
    assert {b.batch_key for b in again} > {first.batch_key}
    assert next(b for b in again if b.batch_key == first.batch_key) == first
    assert [[r.file for r in b.objects] for b in again if b != first] == [["0_late.jpg"]]


def test_an_object_that_vanished_after_it_was_planned_stays_in_its_batch(store):
    objects = [ref(f"{n}.jpg") for n in range(3)]
    (first,) = plan(store, objects)
    assert plan(store, objects[:2]) == [first]


def test_an_unfinished_batch_of_another_source_is_left_to_it(store):
    plan(store, [ref("a.jpg", "/one")])
    (mine,) = plan(store, [ref("a.jpg", "/two")])
    assert mine.objects[0].uri == "file:///two/a.jpg"


def test_runs_that_list_at_different_moments_never_overlap(tmp_path):
    out = str(tmp_path / "out")
    objects = [ref(f"{n:03}.jpg") for n in range(40)]
    listings = [objects[: 5 * (n + 1)] for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        plans = list(pool.map(lambda listing: plan(AuditStore(out), listing, size=7), listings))
    batches = {b.batch_key: b for found in plans for b in found}
    media = [r.media_id for b in batches.values() for r in b.objects]
    assert len(media) == len(set(media)) == 40
    for listing, found in zip(listings, plans):
        assert {r.media_id for r in listing} <= {r.media_id for b in found for r in b.objects}


def test_folders_of_the_batch_template_keep_batches_apart(store):
    objects = [ref(f"s{n % 2}/d{n % 3}/{n}.jpg") for n in range(12)]
    batches = plan(store, objects, levels=2)
    assert len(batches) == 6
    assert all(len({r.file.rsplit("/", 1)[0] for r in b.objects}) == 1 for b in batches)


def test_missing_media_are_planned_again_once_they_can_be_read(tmp_path, store):
    card = tmp_path / "card"
    card.mkdir()
    (card / "a.jpg").write_bytes(b"1")
    objects = list_objects(str(card), MediaConfig())
    (first,) = plan(store, objects)
    (card / "a.jpg").rename(tmp_path / "away")
    assert describe_objects(first.objects, str(card), MediaConfig())[0]["status"] == "missing"
    commit(store, first, status="missing")
    assert plan(store, objects) == [], "it still cannot be read"
    Path(tmp_path / "away").rename(card / "a.jpg")
    (second,) = plan(store, objects)
    assert second.objects == first.objects and second.batch_key != first.batch_key
    commit(store, second)
    assert plan(store, objects) == []
    done = done_media(store, "m", "c")
    assert done.ids.has([objects[0].media_id]).all() and len(done) == 1 and not done.missing


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\x00" * 30])
@pytest.mark.parametrize("kind", ["log", "objects"])
def test_a_damaged_plan_is_one_line_that_names_it(store: AuditStore, tmp_path: Path, kind: str, content: bytes) -> None:
    objects = [ref(f"{n}.jpg") for n in range(3)]
    assert plan(store, objects)
    plans = [path for path in (tmp_path / "out" / "plans").rglob("*") if path.is_file()]
    (damaged,) = (path for path in plans if ("objects" in path.parts) == (kind == "objects"))
    damaged.write_bytes(content)
    with pytest.raises(RunError, match=rf"plans/.*{damaged.name}: is damaged"):
        plan(store, [*objects, ref("late.jpg")])

"""Duplicates, events and batches depend on the work alone, never on order or day."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scd_core.media import assign_events, mark_duplicates
from scd_core.storage.objects import ObjectRef
from scd_core.tables.batches import cut_batches

NOON = datetime(2024, 5, 3, 12, tzinfo=UTC)


def ref(file: str, *, etag: str = "e", size: int = 1, version: str | None = None, at: datetime = NOON) -> ObjectRef:
    return ObjectRef(f"s3://bucket/{file}", file, size, etag, version, at)


def row(file: str, sha: str = "", status: str = "ok", **columns: object) -> dict:
    return {"media_id": file, "file": file, "content_sha256": sha or file, "status": status, **columns}


def at(second: float) -> datetime:
    return datetime(2024, 5, 3, 12) + timedelta(seconds=second)


def test_media_id_changes_with_uri_etag_size_and_version():
    names = [
        ref("a.jpg"),
        ref("b.jpg"),
        ref("a.jpg", etag="f"),
        ref("a.jpg", size=2),
        ref("a.jpg", version="v1"),
        ref("a.jpg", version="v2"),
    ]
    assert len({name.media_id for name in names}) == len(names)
    assert all(len(name.media_id) == 32 for name in names)
    assert ref("a.jpg", at=NOON + timedelta(days=1)).media_id == ref("a.jpg").media_id


def test_the_first_in_file_order_keeps_ok():
    rows = [row("b", "same"), row("a", "same"), row("c", "same", status="corrupt"), row("d", "other")]
    marked = {r["file"]: r for r in mark_duplicates(rows)}
    assert [marked[f]["status"] for f in "abcd"] == ["ok", "duplicate", "corrupt", "ok"]
    assert marked["b"]["duplicate_of"] == "a" and "content as a" in marked["b"]["failure_reason"]


def test_events_slide_from_the_last_frame_within_one_deployment():
    rows = [
        row("1", deployment_id="d1", captured_at=at(0)),
        row("2", deployment_id="d1", captured_at=at(50)),
        row("3", deployment_id="d1", captured_at=at(105)),
        row("4", deployment_id="d1", captured_at=at(170)),
        row("5", deployment_id="d2", captured_at=at(50)),
        row("6", deployment_id="d1", captured_at=None),
        row("7", deployment_id="d1", captured_at=None),
    ]
    event = {r["file"]: r["event_id"] for r in assign_events(rows, 60)}
    assert event["1"] == event["2"] == event["3"]
    assert len({event[f] for f in "14567"}) == 5


@given(st.permutations(list(range(12))))
def test_events_do_not_depend_on_the_order_of_rows(order):
    rows = [row(f"{n}", camera_id=f"c{n % 2}", captured_at=at(n * 37.0)) for n in range(12)]
    expected = {r["file"]: r["event_id"] for r in assign_events(rows, 60)}
    assert {r["file"]: r["event_id"] for r in assign_events([rows[n] for n in order], 60)} == expected


def plan(
    objects: list[ObjectRef], size: int = 10, done: frozenset[str] = frozenset(), model: str = "m", config: str = "c"
):
    return cut_batches(objects, model_digest=model, config_digest=config, batch_size=size, done_media=done)


def test_batches_hold_every_object_once_and_no_more_than_allowed():
    objects = [ref(f"{n:04}.jpg") for n in range(34)]
    batches = plan(objects)
    assert [len(b.objects) for b in batches] == [10, 10, 10, 4]
    assert [o for b in batches for o in b.objects] == objects
    shuffled = random.Random(1).sample(objects, len(objects))
    assert plan(shuffled) == batches


def test_the_key_names_objects_model_and_config():
    objects = [ref("a.jpg"), ref("b.jpg")]
    keys = {
        plan(objects)[0].batch_key,
        plan(objects[:1])[0].batch_key,
        plan(objects, model="m2")[0].batch_key,
        plan(objects, config="c2")[0].batch_key,
        plan([ref("a.jpg", etag="f"), ref("b.jpg")])[0].batch_key,
    }
    assert len(keys) == 5


def test_the_date_is_that_of_the_newest_object_in_utc():
    newest = datetime(2024, 5, 4, 1, tzinfo=UTC).astimezone()
    assert plan([ref("a.jpg"), ref("b.jpg", at=newest)])[0].batch_date == date(2024, 5, 4)


def test_what_is_done_is_left_out():
    objects = [ref("a.jpg"), ref("b.jpg")]
    assert plan(objects, done=frozenset(o.media_id for o in objects)) == []
    (late,) = plan([*objects, ref("late.jpg")], done=frozenset(o.media_id for o in objects))
    assert [o.file for o in late.objects] == ["late.jpg"]


@pytest.mark.parametrize("count", [0, 1])
def test_small_listings(count):
    assert len(plan([ref("a.jpg")] * count)) == count

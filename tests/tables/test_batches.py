"""Batches: their names, their dates, and that every object is in one of them."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta

import pytest

from scd_core.storage.objects import ObjectRef
from scd_core.tables.batches import cut_batches

NOON = datetime(2024, 5, 3, 12, tzinfo=UTC)


def ref(file: str, *, etag: str = "e", size: int = 1, version: str | None = None, at: datetime = NOON) -> ObjectRef:
    return ObjectRef(f"s3://bucket/{file}", file, size, etag, version, at)


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

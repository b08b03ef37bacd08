"""Uploads that are complete are separated from those still under way, and a manifest can be the SOURCE."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from scd_core.config import MediaConfig
from scd_core.errors import InputError
from scd_core.media import batch_levels, describe_objects, find_manifest, iter_images, list_objects, list_source
from scd_core.storage.objects import ObjectRef
from scd_core.tables.batches import split_complete

NOW = datetime(2024, 5, 3, 12, tzinfo=UTC)


def ref(file: str, minutes_ago: float) -> ObjectRef:
    return ObjectRef(f"s3://b/{file}", file, 1, "e", None, NOW - timedelta(minutes=minutes_ago))


def ready(objects: list[ObjectRef], markers: dict[str, float] | None = None, levels: int = 2) -> list[str]:
    moments = {file: NOW - timedelta(minutes=ago) for file, ago in (markers or {}).items()}
    done, waiting = split_complete(objects, moments, batch_levels=levels, quiet_seconds=900, now=NOW)
    assert sorted([*done, *waiting], key=lambda r: r.file) == sorted(objects, key=lambda r: r.file)
    return [r.file for r in done]


def test_a_quiet_folder_is_complete_and_a_busy_one_waits_as_a_whole():
    assert ready([ref("s/d1/a.jpg", 60), ref("s/d1/b.jpg", 16), ref("s/d2/a.jpg", 60), ref("s/d2/b.jpg", 5)]) == [
        "s/d1/a.jpg",
        "s/d1/b.jpg",
    ]


def test_a_marker_covers_what_was_written_before_it():
    objects = [ref("s/d/a.jpg", 5), ref("s/d/x/b.jpg", 4), ref("s/d/late.jpg", 1), ref("s/e/a.jpg", 5)]
    assert ready(objects, {"s/d/_SUCCESS": 3}) == ["s/d/a.jpg", "s/d/x/b.jpg"]
    assert ready(objects, {"s/d/x/_SUCCESS": 0}) == []


def test_without_a_template_all_of_source_is_one_upload():
    objects = [ref("a.jpg", 60), ref("s/d/b.jpg", 5)]
    assert ready(objects, levels=0) == []
    assert ready(objects, {"batch.json": 0}, levels=0) == ["a.jpg", "s/d/b.jpg"]


def test_markers_come_with_the_listing(tmp_path):
    for name in ("s/d/a.jpg", "s/d/_SUCCESS", "s/e/batch.json", "s/e/a.jpg", "s/e/notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    listing = list_source(str(tmp_path), MediaConfig())
    assert set(listing.markers) == {"s/d/_SUCCESS", "s/e/batch.json"}
    assert [r.file for r in listing.objects] == ["s/d/a.jpg", "s/e/a.jpg"]


def test_the_template_gives_the_levels():
    assert batch_levels(MediaConfig()) == 0
    assert batch_levels(MediaConfig(batch_template="{site_id}/{deployment_id}/{card}/")) == 3
    with pytest.raises(InputError, match=r"media.batch_template: '\{day\}'"):
        batch_levels(MediaConfig(batch_template="{day}"))


def test_a_manifest_as_source_lists_what_it_names_and_misses_what_is_not_there(tmp_path, jpeg):
    (tmp_path / "package" / "media").mkdir(parents=True)
    for name in ("package/media/one.jpg", "package/media/full.jpg", "package/media/unnamed.jpg", "elsewhere.jpg"):
        (tmp_path / name).write_bytes(jpeg)
    manifest = tmp_path / "package" / "media.csv"
    manifest.write_text(
        "filePath,deploymentID,cameraID,timestamp\n"
        "media/one.jpg,d1,C1,2024-05-03T10:00:00-03:00\n"
        f"file://{tmp_path}/package/media/full.jpg,d1,C1,\n"
        f"file://{tmp_path}/elsewhere.jpg,d1,C1,\n"
        "media/lost.jpg,d2,C2,2024-05-03T10:00:00Z\n"
    )
    source, config = str(manifest), MediaConfig()
    objects = list_objects(source, config)
    rows = {row["file"]: row for row in describe_objects(objects, source, config, find_manifest(source))}
    assert {f: r["status"] for f, r in rows.items()} == {
        "media/full.jpg": "ok",
        "media/lost.jpg": "missing",
        "media/one.jpg": "ok",
    }
    one, lost = rows["media/one.jpg"], rows["media/lost.jpg"]
    assert (one["deployment_id"], one["camera_id"], one["utc_offset_minutes"]) == ("d1", "C1", -180)
    assert one["captured_at"] == datetime(2024, 5, 3, 10)
    assert (lost["failure_stage"], lost["deployment_id"]) == ("list", "d2")
    assert all(image.size for row, image in iter_images([one, rows["media/full.jpg"]], source, config, target_for=64))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("file\n../../secret.jpg\n", "outside the manifest's folder"),
        ("deploymentID\nd1\n", "names no media"),
        ("file\n", "names no media"),
    ],
)
def test_a_manifest_that_names_nothing_or_leads_outside_is_one_clear_line(tmp_path, content, words):
    (tmp_path / "list.csv").write_text(content)
    with pytest.raises(InputError, match=words):
        list_objects(str(tmp_path / "list.csv"), MediaConfig())
    with pytest.raises(InputError, match="no such file"):
        list_objects(str(tmp_path / "absent.csv"), MediaConfig())

"""Every object gets exactly one row with its state, and no time is invented."""

from __future__ import annotations

import hashlib
import os
from datetime import datetime
from pathlib import Path

import fsspec
import numpy as np
import pytest
from PIL import Image

from scd_core.config import MediaConfig
from scd_core.errors import InputError
from scd_core.media import MediaError, describe_objects, find_manifest, iter_images, list_objects
from scd_core.tables.schema import table_from_rows
from tests.services.pictures import encode, exif_block, photo

CONFIG = MediaConfig()


@pytest.fixture
def card(tmp_path):
    def write(files: dict[str, bytes]) -> str:
        for name, data in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(data)
        return str(tmp_path)

    return write


def described(source: str, config: MediaConfig = CONFIG) -> dict[str, dict]:
    rows = describe_objects(list_objects(source, config), source, config, find_manifest(source))
    return {row["file"]: row for row in rows}


def test_every_kind_of_file_has_a_row_with_its_state(card, jpeg):
    files = {
        "C1/ok.jpg": jpeg,
        "C1/really_a_png.jpg": encode(photo(), "PNG"),
        "C1/cut.jpg": jpeg[:4000],
        "C1/empty.jpg": b"",
        "C1/page.jpg": b"<html>403 Forbidden</html>",
        "C1/clip.mp4": b"\0\0\0\x18ftypmp42" + b"\0" * 100,
        "C1/shot.nef": encode(photo(), "TIFF"),
        "C1/picture.mp4": jpeg,
        "C1/zeros.jpg": b"\0" * 5000,
        "C1/no_suffix": jpeg,
        "C1/unknown.xyz": b"who knows",
        "detections.csv": b"file\n",
        "C1/.hidden.jpg": jpeg,
        "C1/_SUCCESS": b"",
    }
    rows = described(card(files))
    assert {file: row["status"] for file, row in rows.items()} == {
        "C1/ok.jpg": "ok",
        "C1/really_a_png.jpg": "ok",
        "C1/cut.jpg": "corrupt",
        "C1/empty.jpg": "empty",
        "C1/page.jpg": "unsupported",
        "C1/clip.mp4": "unsupported",
        "C1/shot.nef": "unsupported",
        "C1/picture.mp4": "ok",
        "C1/zeros.jpg": "corrupt",
        "C1/no_suffix": "ok",
        "C1/unknown.xyz": "unsupported",
    }
    for row in rows.values():
        assert (row["failure_reason"] is None) == (row["status"] == "ok")
        assert (row["failure_stage"] is None) == (row["status"] == "ok")
    assert rows["C1/really_a_png.jpg"]["format"] == "PNG"
    assert rows["C1/ok.jpg"]["content_sha256"] == hashlib.sha256(jpeg).hexdigest()
    assert rows["C1/ok.jpg"]["camera_id"] == "C1"
    assert table_from_rows("media", list(rows.values())).num_rows == len(rows)


def test_size_is_as_seen_after_orientation(card):
    data = encode(photo(320, 240), exif=exif_block(orientation="6"))
    row = described(card({"a.jpg": data}))["a.jpg"]
    assert (row["width"], row["height"]) == (240, 320)


@pytest.mark.parametrize(
    ("tags", "moment", "offset"),
    [
        ({"original": "2021:05:29 03:51:33"}, datetime(2021, 5, 29, 3, 51, 33), None),
        ({"original": "2021:05:29 03:51:33", "offset": "-07:00"}, datetime(2021, 5, 29, 3, 51, 33), -420),
        ({"original": "2021:05:29 03:51:33", "subsec": "25"}, datetime(2021, 5, 29, 3, 51, 33, 250_000), None),
        ({"original": "2021:05:29 03:51:33", "offset": "+05:45"}, datetime(2021, 5, 29, 3, 51, 33), 345),
        ({"original": "2021:05:29 03:51:33", "offset": "-03:30"}, datetime(2021, 5, 29, 3, 51, 33), -210),
        ({"original": "2021:05:29 03:51:33", "offset": "Z"}, datetime(2021, 5, 29, 3, 51, 33), 0),
        ({"original": "2021:05:29 03:51:33", "offset": "+25:00"}, datetime(2021, 5, 29, 3, 51, 33), None),
        ({"original": "2021:05:29 03:51:33", "offset": "   :  "}, datetime(2021, 5, 29, 3, 51, 33), None),
        ({"original": "2021:05:29 03:51:33", "subsec": "x7"}, datetime(2021, 5, 29, 3, 51, 33), None),
        ({"original": "2021:05:29 03:51:33\0\0"}, datetime(2021, 5, 29, 3, 51, 33), None),
        ({"original": "2024:02:29 23:59:59"}, datetime(2024, 2, 29, 23, 59, 59), None),
        ({"original": "1970:01:01 00:00:00"}, datetime(1970, 1, 1), None),  # a clock never set: as the camera wrote it
        ({"original": "2023:02:29 23:59:59"}, None, None),
        ({"original": "2021:05:29 24:00:00"}, None, None),
        ({"original": "2021:05:29"}, None, None),
        ({"original": "29/05/2021 03:51"}, None, None),
        ({"offset": "+02:00"}, None, None),
        ({"original": "0000:00:00 00:00:00"}, None, None),
        ({"original": "    :  :     :  :  "}, None, None),
        ({"original": "2021:13:45 03:51:33"}, None, None),
        ({"modified": "2021:05:29 03:51:33"}, None, None),
        ({}, None, None),
    ],
)
def test_the_time_is_exifs_original_time_or_unknown(card, tags, moment, offset):
    row = described(card({"a.jpg": encode(photo(), exif=exif_block(**tags))}))["a.jpg"]
    assert row["captured_at"] == moment
    assert row["captured_at_source"] == ("exif" if moment else None)
    assert row["utc_offset_minutes"] == offset


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "MPO"])
def test_times_of_every_kind_of_file(card, kind):
    exif = exif_block(original="2021:05:29 03:51:33", offset="+02:00")
    row = described(card({"a.jpg": encode(photo(), kind, exif=exif)}))["a.jpg"]
    assert (row["status"], row["captured_at"]) == ("ok", datetime(2021, 5, 29, 3, 51, 33))
    assert (row["captured_at_source"], row["utc_offset_minutes"]) == ("exif", 120)


def test_a_deployments_clock_fills_only_what_exif_leaves_open(card):
    """The offset in EXIF is the camera's own; the deployment's counts where EXIF has none."""
    files = {
        "deployments.csv": b"deploymentID,deploymentStart\nd1,2021-05-01T00:00:00-07:00\n",
        "C1/d1/own.jpg": encode(photo(), exif=exif_block(original="2021:05:29 03:51:33", offset="+02:00")),
        "C1/d1/bare.jpg": encode(photo(), exif=exif_block(original="2021:05:29 03:51:33")),
        "C1/d1/none.jpg": encode(photo()),
    }
    rows = described(card(files))
    found = {file.rsplit("/", 1)[-1]: (row["captured_at"], row["utc_offset_minutes"]) for file, row in rows.items()}
    moment = datetime(2021, 5, 29, 3, 51, 33)
    assert found == {"own.jpg": (moment, 120), "bare.jpg": (moment, -420), "none.jpg": (None, -420)}


def test_name_and_path_fill_place_and_time(card, jpeg):
    config = MediaConfig(
        path_template="{site_id}/{camera_id}",
        filename_pattern=r"(?P<camera_id>[A-Z]+ \d+)_(?P<captured_at>\d{8}_\d{4})",
    )
    rows = described(card({"North/C7/RL 5_20051029_0045.jpg": jpeg, "North/C7/RL 5_20051399_0045.jpg": jpeg}), config)
    good, bad = rows["North/C7/RL 5_20051029_0045.jpg"], rows["North/C7/RL 5_20051399_0045.jpg"]
    assert (good["site_id"], good["camera_id"]) == ("North", "RL 5")
    assert (good["captured_at"], good["captured_at_source"]) == (datetime(2005, 10, 29, 0, 45), "filename")
    assert (bad["captured_at"], bad["captured_at_source"]) == (None, None)


@pytest.mark.parametrize("field", [{"path_template": "{camera}/{day}"}, {"filename_pattern": "(unclosed"}])
def test_a_malformed_pattern_is_one_clear_line(card, jpeg, field):
    with pytest.raises(InputError, match=f"media.{next(iter(field))}"):
        described(card({"a/a.jpg": jpeg}), MediaConfig(**field))


def test_infrared_is_found_by_the_pixels(card):
    rng = np.random.default_rng(1)
    grey = rng.integers(0, 255, (240, 320)).astype(np.uint8)
    tinted = np.stack([grey * 0.8 + 30, grey * 0.8, grey * 0.8 + 25], axis=-1).astype(np.uint8)
    strip = np.stack([grey] * 3, axis=-1)
    strip[-20:] = (255, 160, 0)
    rows = described(
        card(
            {
                "grey.jpg": encode(Image.fromarray(grey)),
                "tinted.jpg": encode(Image.fromarray(tinted)),
                "strip.jpg": encode(Image.fromarray(strip)),
                "colour.jpg": encode(photo()),
            }
        )
    )
    assert {f: r["is_infrared"] for f, r in rows.items()} == {
        "grey.jpg": True,
        "tinted.jpg": True,
        "strip.jpg": True,
        "colour.jpg": False,
    }


def test_what_changed_or_vanished_after_the_listing_is_missing(card, jpeg):
    source = card({"stays.jpg": jpeg, "changes.jpg": jpeg, "goes.jpg": jpeg})
    objects = list_objects(source, CONFIG)
    changed = Path(source, "changes.jpg")
    changed.write_bytes(jpeg + b"more")
    os.utime(changed, ns=(1, 1))
    Path(source, "goes.jpg").unlink()
    rows = {row["file"]: row for row in describe_objects(objects, source, CONFIG)}
    assert {f: r["status"] for f, r in rows.items()} == {
        "stays.jpg": "ok",
        "changes.jpg": "missing",
        "goes.jpg": "missing",
    }
    assert "changed after it was listed" in rows["changes.jpg"]["failure_reason"]
    assert "vanished" in rows["goes.jpg"]["failure_reason"]
    again = {ref.file: ref.media_id for ref in list_objects(source, CONFIG)}
    before = {ref.file: ref.media_id for ref in objects}
    assert again["stays.jpg"] == before["stays.jpg"] and again["changes.jpg"] != before["changes.jpg"]


def test_an_object_over_the_byte_limit_is_not_fetched(card, jpeg):
    row = described(card({"a.jpg": jpeg}), MediaConfig(max_bytes=1000))["a.jpg"]
    assert row["status"] == "unsupported" and "max_bytes" in row["failure_reason"] and row.get("content_sha256") is None


PACKAGE = {
    "datapackage.json": b"""{"profile": "https://raw.githubusercontent.com/tdwg/camtrap-dp/1.0/camtrap-dp-profile.json",
        "resources": [{"name": "deployments", "path": "deployments.csv"}, {"name": "media", "path": ["media.csv"]},
                      {"name": "observations", "path": "observations.csv"}]}""",
    "deployments.csv": b"deploymentID,locationID,locationName,latitude,longitude,deploymentStart,cameraID\n"
    b"dep1,loc1,Water hole,-12.5,30.25,2024-05-01T00:00:00+02:00,CAM9\n",
    "media.csv": b"mediaID,deploymentID,timestamp,filePath\n"
    b"m1,dep1,2024-05-03T18:20:00+02:00,media/one.jpg\nm2,dep1,,media/two.jpg\n",
}


@pytest.mark.parametrize("below", ["", "/media"])
def test_a_camtrap_dp_package_fills_deployment_place_and_time(card, jpeg, below):
    exif = encode(photo(), exif=exif_block(original="2024:05:04 06:07:08"))
    source = card({**PACKAGE, "media/one.jpg": jpeg, "media/two.jpg": exif, "media/three.jpg": jpeg}) + below
    rows = {file.rsplit("/", 1)[-1]: row for file, row in described(source).items()}
    one, two, three = rows["one.jpg"], rows["two.jpg"], rows["three.jpg"]
    assert (one["captured_at"], one["captured_at_source"]) == (datetime(2024, 5, 3, 18, 20), "manifest")
    for row in (one, two):
        assert (row["deployment_id"], row["camera_id"], row["site_id"]) == ("dep1", "CAM9", "Water hole")
        assert (row["latitude"], row["longitude"], row["utc_offset_minutes"]) == (-12.5, 30.25, 120)
    assert (two["captured_at"], two["captured_at_source"]) == (datetime(2024, 5, 4, 6, 7, 8), "exif")
    assert three["captured_at"] is None and three.get("latitude") is None


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("datapackage.json", b"{}", "no data package"),
        ("datapackage.json", b'{"resources": []}', "no resource 'deployments'"),
        (
            "datapackage.json",
            b'{"resources": [{"name": "deployments", "path": "../../etc/passwd"}]}',
            "outside the package",
        ),
        ("deployments.csv", b"\xff\xfe\0\0", "line 1: not UTF-8"),
    ],
)
def test_a_manifest_that_cannot_be_read_is_a_warning_unless_it_is_named(card, jpeg, name, content, words):
    source = card({"a.jpg": jpeg, name: content})
    assert described(source)["a.jpg"]["status"] == "ok"
    (warning,) = find_manifest(source).warnings
    assert words in warning and "\n" not in warning and name in warning
    with pytest.raises(InputError, match=words) as caught:
        find_manifest(f"{source}/{name}")
    assert "\n" not in str(caught.value) and name in str(caught.value)


def test_images_come_in_order_with_their_rows_and_reasons(card, jpeg):
    source = card({f"{n:03}.jpg": encode(photo(seed=n)) for n in range(40)} | {"020.jpg": jpeg[:3000]})
    rows = list(described(source).values())
    Path(source, "030.jpg").unlink()
    got = list(iter_images(rows, source, CONFIG, target_for=lambda row: 60))
    assert [row["file"] for row, _ in got] == [row["file"] for row in rows]
    wrong = {row["file"]: image.status for row, image in got if isinstance(image, MediaError)}
    assert wrong == {"020.jpg": "corrupt", "030.jpg": "missing"}
    assert all(min(image.size) >= 60 for _, image in got if not isinstance(image, MediaError))


def test_memory_stays_bounded_when_the_caller_is_slow(card):
    source = card({f"{n:03}.jpg": encode(photo(seed=n)) for n in range(60)})
    rows = list(described(source).values())
    config = MediaConfig(fetch_workers=2)
    opened = []
    images = iter_images(rows, source, config, target_for=lambda row: opened.append(row["file"]) or 60)
    next(images)
    images.close()
    assert len(opened) <= 2 + 2 + 1, "decoding ran far ahead of the caller"


def test_a_memory_url_works_as_a_source(jpeg):
    fs = fsspec.filesystem("memory")
    fs.pipe_file("/cards/one/a b#1.jpg", jpeg)
    fs.pipe_file("/cards/one/b.jpg", b"")
    try:
        rows = described("memory://cards")
        assert {f: r["status"] for f, r in rows.items()} == {"one/a b#1.jpg": "ok", "one/b.jpg": "empty"}
    finally:
        fs.rm("/cards", recursive=True)

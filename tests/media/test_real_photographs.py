"""Real camera-trap photographs: every file once in the rows, damage found, times and infrared right."""

from __future__ import annotations

import os
from collections import Counter

import pytest

from scd_core.config import MediaConfig
from scd_core.media import MediaError, describe_objects, find_manifest, iter_images, list_objects
from tests.services.pictures import SHARED

pytestmark = pytest.mark.skipif(
    not SHARED.is_dir() and not os.environ.get("CI"), reason="the photographs of ../shared/data are not here"
)

CONFIG = MediaConfig()
INFRARED = {
    "southwest": {"2021-05-28_SYFR0041_deer.JPG", "2021-07-24_SYFR0655_coyote.JPG", "2021-12-07_12080069_rabbit.JPG"},
    "jaguar": set(),
    "speciesnet": {"african_elephants_bw.jpg", "american_black_bear.jpg"},
    "ena24": {f"{number}.jpg" for number in (2480, 2595, 2999, 4330, 4451, 8786, 9455)},
}


def rows_of(folder: str, config: MediaConfig = CONFIG) -> dict[str, dict]:
    source = str(SHARED / folder)
    rows = describe_objects(list_objects(source, config), source, config, find_manifest(source))
    return {row["file"]: row for row in rows}


@pytest.mark.parametrize(
    ("folder", "statuses"),
    [
        ("jaguar", {"ok": 10}),
        ("southwest", {"ok": 8, "empty": 2}),
        ("speciesnet", {"ok": 10, "corrupt": 1}),
        ("ena24", {"ok": 11}),
        ("camtrap_dp", {"ok": 2}),
    ],
)
def test_statuses_and_that_what_is_ok_can_be_read_by_the_model(folder, statuses):
    rows = rows_of(folder)
    assert Counter(row["status"] for row in rows.values()) == statuses
    usable = [row for row in rows.values() if row["status"] == "ok"]
    images = iter_images(usable, str(SHARED / folder), MediaConfig(), target_for=224)
    assert all(not isinstance(image, MediaError) and min(image.size) >= 224 for _, image in images)


@pytest.mark.parametrize("folder", sorted(INFRARED))
def test_infrared_as_the_eye_sees_it_strips_with_coloured_logos_included(folder):
    assert {file for file, row in rows_of(folder).items() if row["is_infrared"]} == INFRARED[folder]


def test_the_damaged_ones_say_why():
    reasons = {
        f: r["failure_reason"] for f, r in (rows_of("speciesnet") | rows_of("southwest")).items() if r["status"] != "ok"
    }
    assert set(reasons) == {"african_elephants_truncated_file.jpg", "error_img.JPG", "error_vid.mp4"}
    assert "truncated" in reasons["african_elephants_truncated_file.jpg"]
    assert reasons["error_img.JPG"] == "the file has no bytes"


def test_station_and_time_from_the_jaguars_names():
    config = MediaConfig(filename_pattern=r"^(?P<camera_id>.+)_(?P<captured_at>\d{8}_\d{4})\.")
    rows = rows_of("jaguar", config)
    assert all(row["captured_at_source"] == "filename" for row in rows.values())
    assert rows["RL 5_20051029_0045.jpg"]["camera_id"] == "RL 5"
    assert str(rows["RL 5_20051029_0045.jpg"]["captured_at"]) == "2005-10-29 00:45:00"


def test_the_camtrap_dp_package_gives_times_and_deployments():
    rows = rows_of("camtrap_dp").values()
    assert all(row["captured_at_source"] == "manifest" and row["deployment_id"] for row in rows)

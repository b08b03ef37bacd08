"""The MegaDetector file: every medium once, boxes and names as the audit has them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scd_core.audit.export import export_audit
from scd_core.errors import InputError
from scd_core.inputs.labels import read_labels
from tests.report.world import World, build_world, commit_world, planted_frames


def exported(world: World, folder: Path) -> dict[str, Any]:
    address = export_audit(world.out, str(folder), "megadetector")
    assert address == (folder / "megadetector.json").as_uri()
    return json.loads((folder / "megadetector.json").read_text("utf-8"))


def test_every_medium_once(placed: World, folder: Path) -> None:
    content = exported(placed, folder)
    files = [image["file"] for image in content["images"]]
    expected = [frame.file for frame in placed.frames] + ["C03/dep1/EMPTY.JPG", "C03/dep1/<b>TORN & co.JPG"]
    assert sorted(files) == sorted(expected)
    failed = {image["file"]: image["failure"] for image in content["images"] if image["detections"] is None}
    assert failed == {"C03/dep1/EMPTY.JPG": "0 bytes", "C03/dep1/<b>TORN & co.JPG": "the header is <broken>"}


def test_names_and_boxes(placed: World, folder: Path) -> None:
    content = exported(placed, folder)
    names = content["classification_categories"]
    by_file = {image["file"]: image for image in content["images"]}
    flips = 0
    for frame in placed.frames:
        (detection,) = by_file[frame.file]["detections"]
        assert detection["category"] == "1" and content["detection_categories"]["1"] == "animal"
        assert detection["bbox"] == pytest.approx([0.18, 0.42, 0.36, 0.34], abs=1e-4)
        classified = [names[category] for category, _ in detection["classifications"]]
        final = frame.final if frame.is_masked else frame.called
        assert classified[0] == final and frame.called in classified and len(classified) == len(set(classified))
        flips += final != frame.called
    assert flips


def test_required_by_the_format(placed: World, folder: Path) -> None:
    content = exported(placed, folder)
    assert float(content["info"]["format_version"]) >= 1.0
    for image in content["images"]:
        for detection in image["detections"] or ():
            x, y, width, height = detection["bbox"]
            assert 0 <= x <= 1 and 0 <= y <= 1 and 0 < width <= 1 and 0 < height <= 1 and 0 <= detection["conf"] <= 1
            assert all(0 <= probability <= 1 for _, probability in detection["classifications"])


def test_our_own_names_are_never_truth(placed: World, folder: Path) -> None:
    exported(placed, folder)
    with pytest.raises(InputError, match="a classifier's results"):
        read_labels(str(folder / "megadetector.json"), "timelapse")
    labels = read_labels(str(folder / "megadetector.json"), "timelapse", by_person=True).labels
    assert len(labels) == len(placed.frames)


def test_the_newest_run_counts(tmp_path: Path, folder: Path) -> None:
    world = build_world(tmp_path, planted_frames(n_events=3), broken=False, has_pictures=False, reports=0)
    for frame in world.frames:
        frame.called = frame.final = "Second"
    commit_world(world, model="ab" * 32, run="run-2", hour=5)
    content = exported(world, folder)
    assert len(content["images"]) == len(world.frames)
    names = content["classification_categories"]
    assert {names[image["detections"][0]["classifications"][0][0]] for image in content["images"]} == {"Second"}

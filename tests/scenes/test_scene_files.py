"""Scenes as files: what other tools read of them."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime

import fsspec
import numpy as np
import pytest
from PIL import Image

from scd_core.errors import InputError
from scd_core.scenes import preset_world, render, sample_specs, write_scenes

N_EVENTS, SEED = 14, 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("scenes") / "out"
    summary = write_scenes(str(path), n_events=N_EVENTS, seed=SEED)
    return path, summary


def _rows(path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text())))


def test_source_holds_the_images_and_nothing_else(folder):
    path, summary = folder
    files = [file for file in (path / "images").rglob("*") if file.is_file()]
    assert {file.suffix for file in files} == {".JPG"} and len(files) == summary.n_images
    specs = sample_specs(preset_world("demo"), "audit", N_EVENTS, SEED)
    assert summary.n_images == len(specs) and summary.n_events == N_EVENTS
    assert summary.source.endswith("/images") and sum(summary.n_planted.values()) == sum(bool(s.plant) for s in specs)


def test_every_table_names_every_image_once(folder):
    path, _ = folder
    files = sorted(str(file.relative_to(path / "images")) for file in (path / "images").rglob("*.JPG"))
    detections = json.loads((path / "detections.json").read_text())
    for names in (
        [row["file"] for row in _rows(path / "labels.csv")],
        [row["file"] for row in _rows(path / "truth" / "truth.csv")],
        [image["file"] for image in detections["images"]],
    ):
        assert sorted(names) == files


def test_exif_tells_time_offset_and_maker(folder):
    path, _ = folder
    for row in _rows(path / "truth" / "truth.csv"):
        exif = Image.open(path / "images" / row["file"]).getexif()
        details = exif.get_ifd(0x8769)
        assert datetime.strptime(details[0x9003], "%Y:%m:%d %H:%M:%S").isoformat() == row["captured_at"]
        assert details[0x9011] == "-03:00"
        assert exif[0x010F] and exif[0x0110]


def test_pictures_and_masks_are_those_of_the_scene(folder):
    path, _ = folder
    world = preset_world("demo")
    rows = _rows(path / "truth" / "truth.csv")
    for spec, row in list(zip(sample_specs(world, "audit", N_EVENTS, SEED), rows))[::7]:
        scene = render(world, spec)
        picture = np.asarray(Image.open(path / "images" / row["file"]).convert("RGB"))
        assert np.abs(picture.astype(int) - scene.image).mean() < 6
        for kind, mask in (("animal", scene.animal_mask), ("marks", scene.mark_mask)):
            file = path / "truth" / kind / row["file"].replace(".JPG", ".png")
            assert ((np.asarray(Image.open(file).convert("L")) == 255) == mask).all()
        assert (row["individual_id"], row["flank"]) == (spec.individual_id, spec.flank)
        assert row["planted_cause"] == (spec.plant.cause if spec.plant else "")


def test_detections_are_megadetector_results_near_the_truth(folder):
    path, _ = folder
    content = json.loads((path / "detections.json").read_text())
    assert content["info"]["format_version"] == "1.4" and content["detection_categories"]["1"] == "animal"
    truth = {row["file"]: row for row in _rows(path / "truth" / "truth.csv")}
    for image in content["images"]:
        (box,) = image["detections"]
        x, y, width, height = box["bbox"]
        assert 0 <= x <= x + width <= 1.0001 and 0 <= y <= y + height <= 1.0001 and 0 < box["conf"] <= 1
        row = truth[image["file"]]
        assert abs(width - float(row["bbox_width"])) < 0.3 * width
        assert abs(x - float(row["bbox_x_min"])) < 0.2 * width


def test_deployments_cover_their_pictures(folder):
    path, _ = folder
    deployments = {row["deploymentID"]: row for row in _rows(path / "deployments.csv")}
    for row in _rows(path / "truth" / "truth.csv"):
        found = deployments[row["deployment_id"]]
        assert found["cameraID"] == row["camera_id"] and float(found["latitude"]) < 0
        moment = datetime.fromisoformat(row["captured_at"] + "-03:00")
        assert (
            datetime.fromisoformat(found["deploymentStart"]) < moment < datetime.fromisoformat(found["deploymentEnd"])
        )


def test_memory_url_gets_the_same_bytes(folder):
    path, _ = folder
    write_scenes("memory://scene-files", n_events=N_EVENTS, seed=SEED)
    fs = fsspec.filesystem("memory")
    found = {name.removeprefix("/scene-files/"): fs.cat_file(name) for name in fs.find("/scene-files")}
    fs.rm("/scene-files", recursive=True)
    assert found == {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def test_bad_requests_are_refused_and_nothing_is_written(folder, tmp_path):
    path, _ = folder
    before = sorted(path.rglob("*"))
    with pytest.raises(InputError, match="holds images already"):
        write_scenes(str(path), n_events=2)
    assert sorted(path.rglob("*")) == before
    for arguments, message in (
        ({"world": "dmeo"}, "no preset 'dmeo'"),
        ({"n_events": 0}, "n_events must be at least 1"),
        ({"split": "test"}, "no split 'test'"),
    ):
        with pytest.raises(InputError, match=message):
            write_scenes(str(tmp_path / "new"), **arguments)
    assert not (tmp_path / "new").exists()

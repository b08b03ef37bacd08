"""The training set: folders that two training scripts read, folds of whole cameras, animals in other places."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scd_core.improve.labelled import read_labelled
from scd_core.improve.places import content_name, find_places, place_for, swap_place
from scd_core.improve.training_set import KINDS, write_training_set
from tests.improve import world


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("set")
    seen = world.plain(60)
    copies = [replace(one, camera="C9", visit=number + 500) for number, one in enumerate(seen[:6])]
    write_training_set(world.build(folder, [*seen, *copies]), str(folder / "set"))
    return folder / "set"


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "index.csv").open(newline="") as handle:
        return list(csv.DictReader(handle))


def test_every_picture_is_there_in_each_kind(written):
    found = rows(written)
    assert {kind: sum(row["kind"] == kind for row in found) for kind in KINDS} == dict.fromkeys(KINDS, 66)
    assert all((written / row["file"]).is_file() for row in found)
    assert sorted(str(path.relative_to(written)) for path in written.rglob("*.jpg")) == sorted(
        row["file"] for row in found
    )


def test_cameras_of_val_are_not_in_train_nor_is_what_looks_the_same(written):
    found = rows(written)
    parts = {part: [row for row in found if row["split"] == part] for part in ("train", "val", "unused")}
    assert parts["train"] and parts["val"]
    for name in ("camera", "visit"):
        assert not {row[name] for row in parts["train"]} & {row[name] for row in parts["val"]}
    assert len({(row["camera"], row["fold"]) for row in found}) == len({row["camera"] for row in found})


def test_both_scripts_number_the_classes_alike(written):
    """torchvision's and timm's readers take the sorted folders of a split, timm's with a class map those of the map."""
    classes = json.loads((written / "classes.json").read_text())
    names = (written / "labels.txt").read_text().split()
    assert [one["individual_id"] for one in classes] == names == list(world.NAMES)
    assert (written / "class_map.txt").read_text().split() == sorted(one["folder"] for one in classes)
    from torchvision.datasets import ImageFolder

    for part in ("train", "val"):
        assert list(ImageFolder(str(written / "crops" / part)).classes) == [one["folder"] for one in classes]
    text = (written / "README.md").read_text()
    assert "--num-classes 3" in text and "--data-path crops" in text


def test_where_val_lacks_an_individual_the_readme_gives_no_wrong_command(tmp_path):
    seen = [replace(one, camera="C1" if one.individual == "Cy" else one.camera) for one in world.plain(60)]
    write_training_set(
        world.build(tmp_path, [one for one in seen if one.camera != "C1" or one.individual == "Cy"]),
        str(tmp_path / "set"),
    )
    text = (tmp_path / "set/README.md").read_text()
    assert "--data-path crops" not in text and "lacks" in text and "--class-map class_map.txt" in text


def test_weights_make_individuals_count_alike(written):
    found = [row for row in rows(written) if row["kind"] == "crops"]
    visits = {(row["individual_id"], row["visit"]): float(row["weight"]) for row in found}
    sums = [sum(weight for (name, _), weight in visits.items() if name == one) for one in world.NAMES]
    assert sums == pytest.approx([sums[0]] * 3, rel=1e-3)


def test_swapped_animals_stand_in_the_place_of_another_camera(written):
    found = [row for row in rows(written) if row["kind"] == "swapped" and row["split"] == "train"]
    assert found and all(row["place_of"] != row["camera"] for row in found)
    whole = {row["source_file"]: row for row in rows(written) if row["kind"] == "whole"}
    row = next(
        one for one in found if {one["camera"], one["place_of"]} == {"C1", "C4"} or one["place_of"] != one["camera"]
    )
    before, after = (
        np.asarray(Image.open(written / one["file"]).convert("L"), float) for one in (whole[row["source_file"]], row)
    )
    height, width = before.shape
    middle = slice(int(0.4 * height), int(0.6 * height)), slice(int(0.4 * width), int(0.6 * width))
    assert np.abs(before[middle] - after[middle]).mean() < 12  # JPEG's own noise


def test_the_animal_of_the_other_place_is_gone():
    place = Image.new("RGB", (200, 100), (100, 100, 100))
    place.paste((255, 0, 0), (20, 20, 60, 60))
    animal = Image.new("RGB", (200, 100), (0, 200, 0))
    found = np.asarray(swap_place(animal, (0.6, 0.5, 0.2, 0.4), place, (0.1, 0.2, 0.2, 0.4)), int)
    assert (found[..., 0] - found[..., 1]).max() < 150 and tuple(found[70, 140]) == (0, 200, 0)
    assert tuple(found[5, 190]) == (100, 100, 100)


def test_the_command_says_what_it_wrote_and_takes_no_limit(trapaudit, tmp_path):
    out = world.build(tmp_path, world.plain(60))
    done = trapaudit("export", out, tmp_path / "set", "--format", "training-set")
    assert done.code == 0 and "README.md" in done.err
    done = trapaudit("export", out, tmp_path / "set", "--format", "training-set", "--limit", "3")
    assert done.code == 2 and "--limit is for" in done.err


def test_too_few_labels_are_one_line(trapaudit, tmp_path):
    done = trapaudit("export", world.build(tmp_path, world.plain(9)), tmp_path / "set", "--format", "training-set")
    assert done.code == 2 and "has labels of 9 visits" in done.err and not (tmp_path / "set").exists()


def test_the_place_of_an_animal_is_drawn_by_its_content_not_by_its_address(tmp_path):
    """The same bytes under another address: the same place, the same name of the file."""
    row = {"target_id": "a", "content_sha256": "ab" * 32, "detection_id": "0", "camera": "C1"}
    moved = row | {"target_id": "b"}
    cameras = [f"C{number}" for number in range(9)]
    assert place_for(row, cameras) == place_for(moved, cameras) != "C1"
    drawn = {place_for(row | {"content_sha256": f"{number:064x}"}, cameras) for number in range(60)}
    assert drawn == set(cameras) - {"C1"}
    assert content_name(row) == content_name(moved) != content_name(row | {"detection_id": "1"})
    assert place_for(row, ["C1"]) is None


def test_the_frame_of_a_camera_is_drawn_by_content(tmp_path):
    """SOURCE lies elsewhere, so every address is another: the places are the same frames."""
    seen = world.plain(40)
    one, other = (find_places(read_labelled(world.build(tmp_path / name, seen))) for name in ("one", "other"))
    assert sorted(one) == ["C1", "C2", "C3", "C4"] == sorted(other)
    assert all(one[camera].image.tobytes() == other[camera].image.tobytes() for camera in one)


def test_equal_pictures_at_two_cameras_are_two_files(tmp_path, monkeypatch):
    draw = world.draw
    monkeypatch.setattr(world, "draw", lambda one, number: draw(replace(one, camera="C1"), one.look))
    seen = world.plain(40)
    out = world.build(tmp_path, [*seen, replace(seen[0], camera="C9", visit=500)])
    contents = {row["content_sha256"] for row in read_labelled(out).rows}
    assert len(contents) == 40
    write_training_set(out, str(tmp_path / "set"))
    files = [row["file"] for row in rows(tmp_path / "set")]
    assert len(files) == len(set(files)) == 3 * 41

"""Detections: real MegaDetector files, CSV, broken boxes, and how results find their image."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scd_core.errors import InputError
from scd_core.identify.detections import Detection, Detections, read_detections


def test_the_real_megadetector_file(photographs: Path) -> None:
    found = read_detections(str(photographs / "ena24" / "md_annotations.json"))
    files = sorted(path.name for path in (photographs / "ena24").glob("*.jpg"))
    matched = found.match(files)
    assert matched
    assert set(matched) <= set(files)
    assert all(box.problem() is None for boxes in matched.values() for box in boxes)
    assert len(found.boxes) > len(matched)  # the file names images that are not here


def test_the_jaguar_csv(photographs: Path) -> None:
    found = read_detections(str(photographs / "jaguar" / "detections.csv"))
    assert len(found.boxes) == 10
    assert {box.category for boxes in found.boxes.values() for box in boxes} == {"animal"}


def test_failures_and_missing_values(tmp_path: Path) -> None:
    path = tmp_path / "md.json"
    box = {"category": "1", "conf": "NaN", "bbox": [0.1, 0.1, 0.2, 0.2]}
    images = [
        {"file": "a.jpg", "failure": "Failure image access"},
        {"file": "b\\c.jpg", "detections": [box]},
        {"file": "d.jpg"},
    ]
    path.write_text(json.dumps({"detection_categories": {"1": "Animal"}, "images": images}))
    found = read_detections(str(path))
    assert found.failures == {"a.jpg": "Failure image access"}
    assert found.boxes["b/c.jpg"][0].problem() == "confidence is not a number"
    assert found.boxes["d.jpg"] == ()


@pytest.mark.parametrize(
    ("bbox", "words"),
    [((0.5, 0.5, 0.0, 0.2), "no area"), ((1.2, 0.1, 0.3, 0.3), "no area"), ((float("nan"), 0, 1, 1), "finite")],
)
def test_boxes_that_cannot_be_used_say_why(bbox: tuple[float, float, float, float], words: str) -> None:
    assert words in str(Detection("0", "animal", 0.9, bbox).problem())


def test_a_box_over_the_border_is_cut_to_the_image() -> None:
    box = Detection("0", "animal", 0.9, (-0.1, 0.8, 0.5, 0.5))
    assert box.problem() is None
    assert box.clipped() == pytest.approx((0.0, 0.8, 0.4, 0.2))


def boxes(*files: str) -> Detections:
    return Detections("md.json", {file: (Detection(file, "animal", 0.9, (0, 0, 1, 1)),) for file in files})


def test_equal_file_names_in_different_folders_do_not_swap_boxes() -> None:
    matched = boxes("C1/IMG_1.JPG", "C2/IMG_1.JPG").match(["C1/IMG_1.JPG", "C2/IMG_1.JPG", "C3/IMG_1.JPG"])
    assert {file: found[0].detection_id for file, found in matched.items()} == {
        "C1/IMG_1.JPG": "C1/IMG_1.JPG",
        "C2/IMG_1.JPG": "C2/IMG_1.JPG",
    }


def test_results_made_one_folder_higher_are_found() -> None:
    assert set(boxes("card/C1/IMG_1.JPG").match(["C1/IMG_1.JPG"])) == {"C1/IMG_1.JPG"}
    assert set(boxes("IMG_1.JPG").match(["C1/IMG_1.JPG"])) == {"C1/IMG_1.JPG"}
    # A bare name that fits two folders fits neither.
    assert boxes("a/IMG_1.JPG", "b/IMG_1.JPG").match(["IMG_1.JPG"], strict=False) == {}


def test_results_of_other_images_are_refused_with_both_names() -> None:
    with pytest.raises(InputError, match=r"x\.jpg.*y\.jpg"):
        boxes("x.jpg").match(["y.jpg"])


@pytest.mark.parametrize("content", ["{}", "{broken", "file,category\n", '{"images": [{"file": "a"}]}'])
def test_other_files_are_refused_in_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "d").write_text(content)
    with pytest.raises(InputError) as caught:
        read_detections(str(tmp_path / "d"))
    assert "\n" not in str(caught.value)

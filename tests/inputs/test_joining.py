"""Paths in files and the media that they mean; flags, labels and detections use one index."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scd_core.errors import InputError
from scd_core.inputs.detections import read_detections
from scd_core.inputs.joining import PathIndex, path_as_joined
from scd_core.inputs.labels import read_labels


@pytest.mark.parametrize(
    ("written", "joined"),
    [
        (r".\C01\IMG 1.JPG ", "C01/IMG 1.JPG"),
        ("././a.jpg", "a.jpg"),
        ("s3://me:secret@cards/C01/a.jpg", "s3://cards/C01/a.jpg"),
        ("s3://cards/me@home.jpg", "s3://cards/me@home.jpg"),
        ("../a.jpg", "../a.jpg"),
    ],
)
def test_the_form_in_which_paths_are_compared(written: str, joined: str) -> None:
    assert path_as_joined(written) == joined


@pytest.mark.parametrize("path", ["C01/a.jpg", "s3://cards/C01/a.jpg"])
def test_a_path_or_an_address_is_found_whole(path: str) -> None:
    assert PathIndex(["C01/a.jpg", "s3://cards/C01/a.jpg"]).absent([path]) == []


def test_the_end_of_a_path_is_found_for_labels_alone() -> None:
    index = PathIndex(["s3://cards/C01/a.jpg"])
    ends = ["a.jpg", "/C01/a.jpg", "cards/C01/a.jpg", "s3://C01/a.jpg"]
    assert index.absent(ends) == ends
    assert index.absent([*ends, "1/a.jpg", "A.JPG"], by_ending=True) == ["1/a.jpg", "A.JPG"]


def results(folder: Path, image: Any) -> str:
    file = folder / "md.json"
    content = {"detection_categories": {"1": "animal"}, "classification_categories": {"0": "Luna"}, "images": [image]}
    file.write_text(json.dumps(content))
    return str(file)


@pytest.mark.parametrize("image", [3, {}, {"file": "a.jpg", "detections": 3}, {"file": "a.jpg", "detections": [3]}])
def test_detections_and_labels_refuse_the_same_broken_results_in_one_line(tmp_path: Path, image: Any) -> None:
    """Labels ended in a traceback where a detection was no object."""
    for read in (read_detections, read_labels):
        with pytest.raises(InputError, match=r"images\[0\]") as caught:
            read(results(tmp_path, image))
        assert "\n" not in str(caught.value)


def test_labels_need_no_detector_s_category(tmp_path: Path) -> None:
    file = results(tmp_path, {"file": "a.jpg", "detections": [{"classifications": [["0", 1.0]]}]})
    assert [label.individual_id for label in read_labels(file).labels] == ["Luna"]
    with pytest.raises(InputError, match=r"images\[0\]: detection 0 has no category"):
        read_detections(file)

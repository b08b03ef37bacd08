"""Paths in files and the media that they mean; flags, labels and detections use one index."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from scd_core.errors import InputError
from scd_core.inputs.detections import read_detections
from scd_core.inputs.joining import MediaIndex, PathIndex, path_as_joined
from scd_core.inputs.labels import read_labels
from scd_core.inputs.megadetector import parse_megadetector


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


@pytest.mark.parametrize(
    "path", ["C01/a.jpg", "s3://cards/C01/a.jpg", "a.jpg", "/C01/a.jpg", "cards/C01/a.jpg", "s3://C01/a.jpg", "A.JPG"]
)
def test_a_path_an_address_and_the_end_of_one_are_found(path: str) -> None:
    assert MediaIndex([("s3://cards/C01/a.jpg", "C01/a.jpg")]).find(path) == ["s3://cards/C01/a.jpg"]


@pytest.mark.parametrize("path", ["1/a.jpg", "b.jpg", "a.jp", "C02/a.jpg", ""])
def test_other_paths_are_not_found(path: str) -> None:
    assert MediaIndex([("s3://cards/C01/a.jpg", "C01/a.jpg")]).find(path) == []


NFC, NFD = (unicodedata.normalize(form, "Müritz/IMG_1.JPG") for form in ("NFC", "NFD"))


@pytest.mark.parametrize(
    ("path", "file"),
    [
        ("c01/d1/img_1.jpg", "C01/D1/IMG_1.JPG"),
        (NFD, NFC),
        (NFC, NFD),
        (NFD.upper(), NFC),
        ("/mnt/card/c01/IMG_1.jpg", "C01/IMG_1.JPG"),
        ("D:/cards/C01/IMG_1.jpg", "C01/IMG_1.JPG"),
    ],
)
def test_names_that_differ_in_case_or_unicode_form_join(path: str, file: str) -> None:
    assert PathIndex([path]).join([file, "C09/other.jpg"], what="d.json").path_of == {file: path}
    assert MediaIndex([(f"s3://bucket/{file}", file)]).find(path) == [f"s3://bucket/{file}"]


def test_a_name_as_it_is_written_wins_and_is_of_no_other_medium() -> None:
    index = PathIndex(["C01/a.jpg", "C01/A.JPG", "x/C02/b.jpg"])
    join = index.join(["C01/A.JPG", "C01/a.jpg", "C02/b.jpg", "C02/B.JPG"], what="d.json")
    assert join.path_of == {"C01/A.JPG": "C01/A.JPG", "C01/a.jpg": "C01/a.jpg", "C02/b.jpg": "x/C02/b.jpg"}
    assert (join.doubtful, join.unused) == ({}, [])
    media = MediaIndex([("/s/C01/a.jpg", "C01/a.jpg"), ("/s/C01/A.jpg", "C01/A.jpg")])
    assert media.find("C01/A.jpg") == ["/s/C01/A.jpg"]
    assert media.find("c01/a.jpg") == ["/s/C01/a.jpg", "/s/C01/A.jpg"]


@pytest.mark.parametrize(
    ("paths", "files"),
    [
        (["c01/a.jpg"], ["C01/a.JPG", "C01/A.jpg"]),
        (["c01/a.jpg", "C01/A.jpg"], ["C01/a.JPG"]),
    ],
)
def test_names_that_fit_two_in_all_but_case_are_listed_and_not_joined(paths: list[str], files: list[str]) -> None:
    join = PathIndex(paths).join(files, what="d.json")
    assert join.path_of == {}
    assert {file: set(fitting) for file, fitting in join.doubtful.items()} == {file: set(paths) for file in files}
    assert join.unused == []


def test_a_bare_name_as_written_is_no_better_than_a_whole_path_in_other_case() -> None:
    join = PathIndex(["IMG_1.JPG", "c01/d1/IMG_1.jpg"]).join(["C01/D1/IMG_1.JPG"], what="d.json")
    assert join.path_of == {"C01/D1/IMG_1.JPG": "c01/d1/IMG_1.jpg"}
    assert join.unused == ["IMG_1.JPG"] and join.spellings == {}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("C01/a.jpg", ["/cards/A/C01/a.jpg", "/cards/B/C01/a.jpg"]),
        ("A/C01/a.jpg", ["/cards/A/C01/a.jpg"]),
        ("a/c01/A.JPG", ["/cards/A/C01/a.jpg"]),
        ("D:/all/B/C01/a.jpg", ["/cards/B/C01/a.jpg"]),
        ("E/C01/a.jpg", []),  # another card, which is still to come
        ("D:/E/top.jpg", []),
        ("top.jpg", ["/cards/A/top.jpg"]),
        ("01/a.jpg", []),
    ],
)
def test_paths_of_labels_and_flags_among_the_media_of_several_sources(path: str, found: list[str]) -> None:
    media = [("/cards/A/C01/a.jpg", "C01/a.jpg"), ("/cards/B/C01/a.jpg", "C01/a.jpg"), ("/cards/A/top.jpg", "top.jpg")]
    assert MediaIndex(media).find(path) == found


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


@pytest.mark.parametrize(
    "listed",
    [
        [["0", 0.2], ["1", 0.7], ["2", 0.1]],
        [["1", 0.7], ["0", 0.2]],
        [["0", None], ["1", 0.01]],
        [["0", "NaN"], ["1", "0.3"]],
        [["0"], ["1", 0.3], ["2"]],
        [["1", 0.5], ["0", 0.5]],
        [["1"], ["0"]],
    ],
)
def test_the_name_of_a_list_is_the_most_probable_one_whatever_the_order(listed: list[Any]) -> None:
    content = {"images": [{"file": "a.jpg", "detections": [{"category": "1", "conf": 0.9, "classifications": listed}]}]}
    (image,) = parse_megadetector(json.dumps(content), "md.json").images()
    assert [box.classification for box in image.boxes or ()] == ["1"]

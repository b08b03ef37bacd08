"""Detections: MegaDetector's formats, CSV, Camtrap DP, broken boxes, and how results find their image."""

from __future__ import annotations

import json
import math
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from scd_core.errors import InputError
from scd_core.inputs.detections import Detection, Detections, read_detections

BOX = [0.1, 0.2, 0.3, 0.4]
CATEGORIES = {"1": "animal", "2": "person", "3": "vehicle"}


def megadetector(
    tmp_path: Path, images: list[dict[str, Any]], categories: dict[str, str] | None = None, **info: Any
) -> str:
    path = tmp_path / "md.json"
    path.write_text(
        json.dumps({"info": info, "detection_categories": categories or CATEGORIES, "images": images, "extra": [1]})
    )
    return str(path)


def one(category: str = "1", conf: Any = 0.9, bbox: Any = BOX, **more: Any) -> dict[str, Any]:
    return {"category": category, "conf": conf, "bbox": bbox, **more}


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


def test_the_real_camtrap_dp(photographs: Path) -> None:
    folder = photographs / "camtrap_dp"
    found = read_detections(str(folder / "observations.csv"))
    matched = found.match(sorted(path.name for path in folder.glob("*.jpg")))
    assert matched["small_cat.jpg"][0] == Detection("0", "animal", 1.0, (0.1, 0.2, 0.3, 0.4))
    assert matched["wild_dog_jackal.jpg"][0].bbox == (0.05, 0.15, 0.25, 0.35)
    assert found.boxes == read_detections(str(folder / "datapackage.json")).boxes


@pytest.mark.parametrize("version", ["1.4", "1.5", "1.6"])
def test_versions_of_the_format(tmp_path: Path, version: str) -> None:
    """1.4 has `max_detection_conf` and lists `detections` of failures as null; later ones need neither."""
    is_old = version == "1.4"
    conf = {"max_detection_conf": 0.9} if is_old else {}
    failed = {"max_detection_conf": None} if is_old else {}
    images = [
        {"file": "a.jpg", "detections": [one(classifications=[["3", 0.9]])], **conf},
        {"file": "b.jpg", "detections": [], "failure": None, **conf},
        {"file": "c.jpg", "failure": "Failure image access", "detections": None, **failed},
        {"file": "d.jpg", "failure": "Failure inference", **failed},
        {"file": "e.mp4", "frame_rate": 20, "frames_processed": [0], "detections": [one(frame_number=0)], **conf},
    ]
    found = read_detections(megadetector(tmp_path, images, format_version=version))
    assert found.boxes["a.jpg"] == (Detection("0", "animal", 0.9, (0.1, 0.2, 0.3, 0.4)),)
    assert found.boxes["b.jpg"] == ()
    assert found.failures == {"c.jpg": "Failure image access", "d.jpg": "Failure inference"}
    assert found.failed(["x/c.jpg", "a.jpg"]) == {"x/c.jpg": "Failure image access"}


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ({"failure": "Failure image access", "detections": []}, "Failure image access"),
        ({"failure": "Failure image access", "max_detection_conf": -1, "detections": None}, "Failure image access"),
        ({"failure": None, "detections": None}, "no detections and no reason"),
        ({}, "no detections and no reason"),
        ({"failure": ""}, "no detections and no reason"),
        ({"failure": True}, "True"),
    ],
)
def test_failures_in_their_spellings(tmp_path: Path, entry: dict[str, Any], why: str) -> None:
    found = read_detections(megadetector(tmp_path, [{"file": "a.jpg", **entry}]))
    assert found.failures == {"a.jpg": why}
    assert found.boxes == {}


def test_categories_are_known_by_name_whatever_their_number(tmp_path: Path) -> None:
    categories = {"0": "Person", "2": "vehicle", "7": "Animal", "9": "human", "5": "empty"}
    boxes = [one(number) for number in ("7", "0", "9", "2", "5", "33")]
    found = read_detections(megadetector(tmp_path, [{"file": "a.jpg", "detections": boxes}], categories)).boxes["a.jpg"]
    assert [box.category for box in found] == ["animal", "person", "person", "vehicle", "empty", "33"]
    # What the table of categories does not hold may be anybody.
    assert [box.is_redacted for box in found] == [False, True, True, True, False, True]


@pytest.mark.parametrize(
    ("box", "words"),
    [
        (one(conf="NaN"), "confidence is not a number"),
        (one(conf=None), "confidence is not a number"),
        (one(conf=90), "confidence 90 is no number of 0-1"),
        (one(conf=-0.1), "confidence -0.1 is no number of 0-1"),
        (one(conf=math.nan), "confidence is not a number"),
        ({"category": "1", "bbox": BOX}, "confidence is not a number"),
        ({"category": "1", "conf": 0.9}, "not finite"),
        (one(bbox=None), "not finite"),
        (one(bbox=[0.1, 0.2, 0.3]), "not finite"),
        (one(bbox=[0.1, "NaN", 0.3, 0.4]), "not finite"),
        (one(bbox=[0.1, 0.2, 0, 0.4]), "no area"),
        (one(bbox=[0.1, 0.2, -0.3, 0.4]), "no area"),
        (one(bbox=[1.0, 0.2, 0.3, 0.4]), "no area"),
        (one(bbox=[512, 384, 200, 100]), "no area"),
    ],
)
def test_a_box_that_cannot_be_used_has_a_reason_and_keeps_its_place(
    tmp_path: Path, box: dict[str, Any], words: str
) -> None:
    found = read_detections(megadetector(tmp_path, [{"file": "a.jpg", "detections": [box, one()]}])).boxes["a.jpg"]
    assert words in str(found[0].problem())
    assert [one.detection_id for one in found] == ["0", "1"]
    assert found[1].problem() is None


def test_a_box_over_the_border_is_cut_to_the_image() -> None:
    box = Detection("0", "animal", 0.9, (-0.1, 0.8, 0.5, 0.5))
    assert box.problem() is None
    assert box.clipped() == pytest.approx((0.0, 0.8, 0.4, 0.2))


def test_an_image_named_twice_is_refused_unless_its_boxes_are_equal(tmp_path: Path) -> None:
    same = [{"file": "C1\\a.jpg", "detections": [one()]}, {"file": "./C1/a.jpg", "detections": [one()]}]
    assert set(read_detections(megadetector(tmp_path, same)).boxes) == {"C1/a.jpg"}
    other = [*same, {"file": "C1/a.jpg", "detections": [one(conf=0.5)]}]
    with pytest.raises(InputError, match=r"C1/a\.jpg.*twice"):
        read_detections(megadetector(tmp_path, other))


def test_species_are_animals_and_named_to_the_user(tmp_path: Path) -> None:
    categories = {"1": "animal", "2": "person", "4": "leopard", "5": "Impala"}
    boxes = [one(number) for number in ("1", "2", "4", "4", "5", "99")]
    found = read_detections(megadetector(tmp_path, [{"file": "a.jpg", "detections": boxes}], categories))
    assert [box.is_animal for box in found.boxes["a.jpg"]] == [True, False, True, True, True, False]
    assert [box.is_redacted for box in found.boxes["a.jpg"]] == [False, True, False, False, False, True]
    counts = found.counts(found.join(["a.jpg", "b.jpg"]), 2)
    assert (counts.rows, counts.joined, counts.waiting, counts.unusable) == (1, 1, 0, 0)
    assert counts.notes == (
        "2 boxes of `leopard` taken as animals",
        "1 box of `impala` taken as an animal",
        "1 box of category '99', which has no name, hidden",
        "1 of 2 pictures has no entry in the detections",
    )


def test_a_person_under_a_second_spelling_of_a_name_is_hidden(tmp_path: Path) -> None:
    """The entry as written wins for animals; nobody who is in the file is shown."""
    images = [
        {"file": "a.jpg", "detections": [one()]},
        {"file": "A.JPG", "detections": [one(), one("2")]},
        {"file": unicodedata.normalize("NFC", "ü.jpg"), "detections": [one()]},
        {"file": unicodedata.normalize("NFD", "ü.jpg"), "detections": [one(), one("2")]},
    ]
    found = read_detections(megadetector(tmp_path, images))
    files = ["a.jpg", unicodedata.normalize("NFD", "ü.jpg")]
    join = found.join(files)
    boxes = found.entries(join)
    assert [(box.detection_id, box.category) for box in boxes[files[0]] or ()] == [("0", "animal"), ("1", "person")]  # type: ignore[union-attr]
    assert [box.category for box in boxes[files[1]] or ()] == ["animal", "person", "animal"]  # type: ignore[union-attr]
    counts = found.counts(join, 2)
    assert (counts.rows, counts.joined, counts.waiting) == (4, 4, 0)
    assert "'A.JPG' beside 'a.jpg'" in counts.line()


def test_each_entry_is_counted_once(tmp_path: Path) -> None:
    images = [
        {"file": "a.jpg", "detections": [one()]},
        {"file": "B.JPG", "detections": [one(bbox=None)]},
        {"file": "c.jpg", "failure": "Failure image access", "detections": None},
        {"file": "d.JPG", "detections": []},
        {"file": "D.jpg", "detections": [one("2")]},
        {"file": "other/x.jpg", "detections": []},
    ]
    found = read_detections(megadetector(tmp_path, images))
    join = found.join(["a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg"])
    entries = found.entries(join)
    assert set(entries) == {"a.jpg", "b.jpg", "c.jpg", "d.jpg"}
    assert "D.jpg" in str(entries["d.jpg"])
    counts = found.counts(join, 5)
    assert (counts.rows, counts.joined, counts.waiting, counts.unusable) == (6, 2, 1, 3)
    assert counts.line() == (
        "detections md.json: 6 entries, 2 joined, 1 waiting, 3 not usable ("
        "'d.JPG' fits 'd.jpg' of SOURCE no better than another; 'D.jpg' fits 'd.jpg' of SOURCE no better than another; "
        "'c.jpg': Failure image access; 'other/x.jpg' fits no picture); "
        "1 box not usable: box (nan, nan, nan, nan) is not finite; 1 of 5 pictures has no entry in the detections"
    )


def test_csv_with_numbers_for_categories_empty_lines_and_windows_paths(tmp_path: Path) -> None:
    lines = [
        "file,category,confidence,x_min,y_min,width,height,remark",
        r"C1\IMG 1.JPG,1,0.9,0.1,0.2,0.3,0.4,",
        r"C1\IMG 1.JPG,2,,0.5,0.2,0.3,0.4,no confidence",
        "C1/IMG_2.JPG,,,,,,,nothing found",
        "C1/IMG_3.JPG,animal,0.8,left,0.2,0.3,0.4,",
        "C1/IMG_4.JPG,animal,0.8",
        "",
    ]
    path = tmp_path / "d.csv"
    path.write_text("\ufeff" + "\r\n".join(lines), encoding="utf-8")
    found = read_detections(str(path)).boxes
    assert [(box.detection_id, box.category) for box in found["C1/IMG 1.JPG"]] == [("0", "animal"), ("1", "person")]
    assert math.isnan(found["C1/IMG 1.JPG"][1].confidence)
    assert found["C1/IMG_2.JPG"] == ()
    assert "finite" in str(found["C1/IMG_3.JPG"][0].problem())
    assert "finite" in str(found["C1/IMG_4.JPG"][0].problem())


def test_a_table_with_decimal_commas(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text(
        "file;category;confidence;x_min;y_min;width;height\na.jpg;1;0,9;0,1;0,2;0,3;0,4\na.jpg;2.0;1;0;0;1;1\n"
    )
    assert read_detections(str(path)).boxes["a.jpg"] == (
        Detection("0", "animal", 0.9, (0.1, 0.2, 0.3, 0.4)),
        Detection("1", "person", 1.0, (0.0, 0.0, 1.0, 1.0)),
    )


def test_a_person_in_an_event_of_camtrap_dp_hides_all_its_pictures(tmp_path: Path) -> None:
    rows = [f"m{n},d1,2026-03-01T06:00:{n:02d}Z,C1/{n}.jpg,s{n // 4}" for n in range(8)]
    media = "\n".join(
        ["mediaID,deploymentID,timestamp,filePath,sequenceID", *rows, "m9,d2,2026-03-01T06:00:01Z,C2/1.jpg,s0"]
    )
    (tmp_path / "media.csv").write_text(media + "\n")
    events = [
        "o1,d1,,e1,2026-03-01T06:00:01Z,2026-03-01T06:00:02Z,,human,,,,,",
        "o2,d1,,e2,2026-03-01T06:00:03Z,2026-03-01T06:00:03Z,,unclassified,Homo sapiens,,,,",
        "o3,d1,,,,,s1,vehicle,,,,,",
        "o4,d1,,e3,2026-03-01T06:00:00Z,2026-03-01T06:00:09Z,,animal,,,,,",
        "o5,d1,,e4,2026-03-02T06:00:00Z,2026-03-02T06:00:09Z,,human,,,,,",
        "o6,d1,,e5,,,,vehicle,,,,,",
        "o7,d1,m1,e1,,,,animal,,0.1,0.2,0.3,0.4",
    ]
    head = "observationID,deploymentID,mediaID,eventID,eventStart,eventEnd,sequenceID,observationType,scientificName,"
    head += "bboxX,bboxY,bboxWidth,bboxHeight\n"
    (tmp_path / "observations.csv").write_text(head + "\n".join(events) + "\n")
    found = read_detections(str(tmp_path / "observations.csv"))
    assert {file: [box.category for box in boxes] for file, boxes in found.boxes.items()} == {
        "C1/1.jpg": ["animal", "person"], "C1/2.jpg": ["person"], "C1/3.jpg": ["person"],
        **{f"C1/{n}.jpg": ["vehicle"] for n in range(4, 8)},
    }  # fmt: skip
    assert all(boxes[-1].is_redacted and boxes[-1].place_problem() for boxes in found.boxes.values())
    assert found.boxes["C1/1.jpg"][0] == Detection("0", "animal", 1.0, (0.1, 0.2, 0.3, 0.4))
    files = [f"C1/{n}.jpg" for n in range(8)]
    counts = found.counts(found.join(files), len(files))
    assert counts.unusable == 3 and "line 5: is of an event, not of one medium" in counts.examples
    assert "line 6: person: the event fits no picture" in counts.examples
    assert {"1 row of a person fits no picture", "1 row of a vehicle fits no picture"} <= set(counts.notes)


def test_a_person_in_an_event_hides_pictures_by_the_deployments_clock(tmp_path: Path) -> None:
    (tmp_path / "media.csv").write_text(
        "mediaID,deploymentID,timestamp,filePath\nm1,d1,2026-03-01T06:00:00,six.jpg\nm2,d1,2026-03-01T08:00:00,eight.jpg\n"
    )
    (tmp_path / "deployments.csv").write_text("deploymentID,deploymentStart\nd1,2026-02-01T00:00:00+02:00\n")
    (tmp_path / "observations.csv").write_text(
        "observationID,deploymentID,mediaID,eventStart,eventEnd,observationType,bboxX,bboxY,bboxWidth,bboxHeight\n"
        "o1,d1,,2026-03-01T06:00:00Z,2026-03-01T06:00:10Z,human,,,,\n"
    )
    found = read_detections(str(tmp_path / "observations.csv"))
    assert {file: [box.category for box in boxes] for file, boxes in found.boxes.items()} == {"eight.jpg": ["person"]}
    assert not found.notes
    (tmp_path / "deployments.csv").write_bytes(b"\x1f\x8bx")
    (note,) = read_detections(str(tmp_path / "observations.csv")).notes
    assert "compared as written where deployments are not read" in note and "damaged gzip file" in note


def test_a_person_of_a_media_id_of_several_files_hides_them_all(tmp_path: Path) -> None:
    (tmp_path / "media.csv").write_text("mediaID,filePath\nm1,a.jpg\nm1,b.jpg\nm2,c.jpg\nm2,d.jpg\n")
    (tmp_path / "observations.csv").write_text(
        "mediaID,observationType,bboxX,bboxY,bboxWidth,bboxHeight\nm1,human,0.1,0.1,0.2,0.2\nm2,animal,0.1,0.1,0.2,0.2\n"
    )
    found = read_detections(str(tmp_path / "observations.csv"))
    assert {file: [box.category for box in boxes] for file, boxes in found.boxes.items()} == {
        "a.jpg": ["person"],
        "b.jpg": ["person"],
    }
    assert [one.partition(": ")[2] for one in found.unusable] == [
        f"mediaID m{n} is of several files in media.csv" for n in (1, 2)
    ]


def test_boxes_of_unknown_are_hidden_and_counted(tmp_path: Path) -> None:
    head = "file,category,confidence,x_min,y_min,width,height\n"
    (tmp_path / "d.csv").write_text(f"{head}a.jpg,Unknown,0.9,0.1,0.2,0.3,0.4\na.jpg,animal,0.9,0.1,0.2,0.3,0.4\n")
    found = read_detections(str(tmp_path / "d.csv"))
    assert [box.is_redacted for box in found.boxes["a.jpg"]] == [True, False]
    assert "1 box of category 'unknown', which has no name, hidden" in found.counts(found.join(["a.jpg"]), 1).notes


@pytest.mark.parametrize("missing", ["", "NA", "NaN", "nan"])
def test_camtrap_dp_of_persons_blanks_and_boxes_without_probability(tmp_path: Path, missing: str) -> None:
    (tmp_path / "media.csv").write_text("mediaID,filePath\nm1,C1/a.jpg\nm2,C1/b.jpg\nm3,C1/c.jpg\nm4,C1/d.jpg\n")
    head = "observationID,mediaID,observationType,classificationProbability,bboxX,bboxY,bboxWidth,bboxHeight"
    lines = [
        head,
        "o1,m1,animal,0.75,0.1,0.2,0.3,0.4",
        "o2,m1,human,,0.5,0.5,0.2,0.2",
        "o3,m2,blank,,,,,",
        "o4,m3,human,,,,,",
        f"o5,m4,animal{f',{missing}' * 5}",
        f"o6,{missing},animal,,,,,",
        "o7,m4,unclassified,,,,,",
    ]
    (tmp_path / "observations.csv").write_text("\n".join(lines) + "\n")
    whole = read_detections(str(tmp_path / "observations.csv"))
    assert whole.unplaced == {"C1/d.jpg"}
    assert whole.entries(whole.join(["C1/d.jpg", "C1/e.jpg"])) == {"C1/d.jpg": None}
    assert whole.unusable == ["line 7: is of an event, not of one medium", "line 8: unclassified, and no box"]
    found = whole.boxes
    assert found["C1/a.jpg"] == (
        Detection("0", "animal", 1.0, (0.1, 0.2, 0.3, 0.4)),  # .75 is the certainty of the name
        Detection("1", "person", 1.0, (0.5, 0.5, 0.2, 0.2)),
    )
    assert found["C1/b.jpg"] == ()
    # A person somewhere in the picture hides it whole; an animal somewhere has no place.
    assert found["C1/c.jpg"][0].is_redacted and found["C1/c.jpg"][0].place_problem()
    assert "C1/d.jpg" not in found
    counts = whole.counts(whole.join(["C1/c.jpg"]), 1)
    assert "1 box of persons or vehicles without a place: the whole picture is hidden" in counts.notes
    assert not any("not usable" in note for note in counts.notes)
    (tmp_path / "media.csv").unlink()
    with pytest.raises(InputError, match=r"media\.csv.*no such file"):
        read_detections(str(tmp_path / "observations.csv"))


def test_a_row_of_a_medium_that_is_not_in_media_csv_is_counted_and_named(tmp_path: Path) -> None:
    (tmp_path / "media.csv").write_text("mediaID,filePath\nm1,C1/a.jpg\n")
    head = "observationID,mediaID,observationType,bboxX,bboxY,bboxWidth,bboxHeight\n"
    rows = "o1,m9,animal,0.1,0.2,0.3,0.4\no2,m1,animal,0.1,0.2,0.3,0.4\no3,m8,human,,,,\n"
    (tmp_path / "observations.csv").write_text(head + rows)
    found = read_detections(str(tmp_path / "observations.csv"))
    counts = found.counts(found.join(["C1/a.jpg"]), 1)
    assert (counts.rows, counts.joined, counts.unusable) == (3, 1, 2)
    assert counts.examples == (
        "line 2: mediaID m9 is not in media.csv", "line 4: person: mediaID m8 is not in media.csv",
    )  # fmt: skip
    assert counts.notes == ("1 row of a person fits no picture",)


def boxes(*files: str) -> Detections:
    return Detections("md.json", {file: (Detection(file, "animal", 0.9, (0, 0, 1, 1)),) for file in files})


def test_equal_file_names_in_different_folders_do_not_swap_boxes() -> None:
    matched = boxes("C1/IMG_1.JPG", "C2/IMG_1.JPG").match(["C1/IMG_1.JPG", "C2/IMG_1.JPG", "C3/IMG_1.JPG"])
    assert {file: found[0].detection_id for file, found in matched.items()} == {
        "C1/IMG_1.JPG": "C1/IMG_1.JPG",
        "C2/IMG_1.JPG": "C2/IMG_1.JPG",
    }


@pytest.mark.parametrize(
    ("known", "file", "source"),
    [
        ("card/C1/IMG_1.JPG", "C1/IMG_1.JPG", ""),
        ("IMG_1.JPG", "C1/IMG_1.JPG", ""),
        ("/mnt/archive/card/C1/IMG_1.JPG", "C1/IMG_1.JPG", "/data/card"),
        ("C:/cards/C1/IMG_1.JPG", "C1/IMG_1.JPG", "s3://bucket/cards"),
        ("s3://bucket/cards/C1/IMG_1.JPG", "C1/IMG_1.JPG", "s3://bucket/cards"),
    ],
)
def test_results_made_elsewhere_are_found(known: str, file: str, source: str) -> None:
    assert set(boxes(known).match([file], source=source)) == {file}


def test_the_folder_of_source_decides_between_equal_names() -> None:
    found = boxes("card1/IMG_1.JPG", "card2/IMG_1.JPG")
    matched = found.match(["IMG_1.JPG"], source="/data/card2")
    assert matched["IMG_1.JPG"][0].detection_id == "card2/IMG_1.JPG"
    assert found.match(["IMG_1.JPG"], strict=False, source="/data/elsewhere") == {}


def test_a_bare_name_never_decides_between_folders() -> None:
    """Both ways: two results for one image, and one result for two images, refused with the names."""
    with pytest.raises(InputError, match=r"a/IMG_1\.JPG.*b/IMG_1\.JPG.*both fit 'IMG_1\.JPG'"):
        boxes("a/IMG_1.JPG", "b/IMG_1.JPG").match(["IMG_1.JPG"])
    with pytest.raises(InputError, match=r"'IMG_1\.JPG' fits both 'C1/IMG_1\.JPG' and 'C2/IMG_1\.JPG'"):
        boxes("IMG_1.JPG").match(["C1/IMG_1.JPG", "C2/IMG_1.JPG"])


def test_a_person_of_a_package_is_hidden_whatever_the_type_of_the_row(tmp_path: Path) -> None:
    (tmp_path / "media.csv").write_text("mediaID,filePath\nm1,a.jpg\n")
    (tmp_path / "observations.csv").write_text(
        "mediaID,observationType,scientificName,classificationProbability,bboxX,bboxY,bboxWidth,bboxHeight\n"
        "m1,animal,Homo sapiens,0.05,0.1,0.1,0.3,0.4\nm1,animal,Panthera pardus,0.05,0.5,0.1,0.3,0.4\n"
    )
    person, leopard = read_detections(str(tmp_path / "observations.csv")).boxes["a.jpg"]
    assert (person.category, person.confidence) == ("person", 1.0)
    assert leopard.is_animal and leopard.confidence == 1.0


def test_results_of_other_images_are_refused_with_both_names() -> None:
    with pytest.raises(InputError, match=r"x\.jpg.*y\.jpg"):
        boxes("x.jpg").match(["y.jpg"])


@pytest.mark.parametrize(
    "content",
    [
        "{}",
        "{broken",
        "file,category\n",
        '{"images": [{"file": "a"}]}',
        "[]",
        '{"detection_categories": {}, "images": [{}]}',
    ],
)
def test_other_files_are_refused_in_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "d").write_text(content)
    with pytest.raises(InputError) as caught:
        read_detections(str(tmp_path / "d"))
    assert "\n" not in str(caught.value)

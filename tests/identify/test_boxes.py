"""Boxes of all kinds through classification: no row lost, no person named or seen, each refusal in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from scd_core.boxes import Box
from scd_core.config import AuditConfig
from scd_core.identify import Classifier, load_model
from scd_core.identify.classify import classify_media
from scd_core.identify.pictures import iter_pictures
from scd_core.identify.redaction import blank, boxes_from_columns, hidden_share
from scd_core.inputs.detections import Detection
from scd_core.media import MediaError, list_source
from scd_core.scenes import packaged_model
from scd_core.tables.schema import table_from_rows

NAN = float("nan")
ANIMAL = (0.1, 0.1, 0.4, 0.5)
PERSON = (0.6, 0.2, 0.3, 0.7)
LOCATE = AuditConfig.from_mapping({"classify": {"box_use": "locate"}}, "test")


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return load_model(str(packaged_model("clean")))


def _box(number: int, category: str, confidence: float, bbox: Box) -> Detection:
    return Detection(detection_id=f"d{number}", category=category, confidence=confidence, bbox=bbox)


def _rows(folder: Path) -> list[dict[str, Any]]:
    names = ("media_id", "file", "uri", "etag", "size_bytes")
    return [
        {name: getattr(item, name) for name in names} for item in list_source(str(folder), AuditConfig().media).objects
    ]


def _write(path: Path, seed: int = 1, person: Box | None = None, colour: tuple[int, int, int] = (255, 0, 255)) -> None:
    """A picture of noise, with one colour where the person is."""
    pixels = np.random.default_rng(seed).integers(0, 255, (120, 160, 3), dtype=np.uint8)
    if person is not None:
        x, y, width, height = person
        pixels[round(120 * y) : round(120 * (y + height)), round(160 * x) : round(160 * (x + width))] = colour
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def test_every_box_of_an_animal_has_a_row_and_no_other(tmp_path: Path, classifier: Classifier) -> None:
    for folder in ("a", "b", "c"):
        _write(tmp_path / folder / "same.png", seed=ord(folder))
    boxes = {
        "a/same.png": (
            _box(0, "animal", 0.9, ANIMAL),
            _box(1, "person", 0.99, PERSON),
            _box(2, "vehicle", 0.99, PERSON),
            _box(3, "animal", NAN, ANIMAL),
            _box(4, "animal", 0.9, (0.1, 0.1, 0.0, 0.5)),
            _box(5, "animal", 0.9, (1.5, 0.1, 0.2, 0.2)),
            _box(6, "animal", 0.9, (0.65, 0.3, 0.2, 0.2)),
        ),
        "b/same.png": (_box(0, "person", 0.99, PERSON), _box(1, "vehicle", 0.5, PERSON)),
        "c/same.png": "Failure image access",
    }
    rows = _rows(tmp_path)
    found = classify_media(rows, classifier, str(tmp_path), AuditConfig(), boxes)
    by_target = {(row["media_id"], row.get("detection_id")): row for row in found}
    a, b, c = (next(row["media_id"] for row in rows if row["file"].startswith(folder)) for folder in ("a", "b", "c"))
    assert set(by_target) == {(a, "d0"), (a, "d3"), (a, "d4"), (a, "d5"), (a, "d6"), (b, None), (c, None)}
    assert by_target[a, "d0"]["prediction_status"] == "ok"
    for number, words in (
        (3, "confidence"),
        (4, "area"),
        (5, "no area inside the image"),
        (6, "persons or vehicles cover"),
    ):
        row = by_target[a, f"d{number}"]
        assert row["prediction_status"] == "failed"
        assert words in row["failure_reason"]
    assert by_target[b, None]["prediction_status"] == "no_animal"
    assert by_target[b, None]["failure_reason"].endswith("only person, vehicle")
    assert by_target[c, None]["prediction_status"] == "failed"
    assert "Failure image access" in by_target[c, None]["failure_reason"]
    # The report may show an image that has no name: then nothing of it.
    assert boxes_from_columns(by_target[c, None]["hidden_boxes"]) == [(0.0, 0.0, 1.0, 1.0)]
    assert len(by_target[b, None]["hidden_boxes"]) == 2
    assert not any("predicted_id" in by_target[key] for key in ((b, None), (c, None)))
    assert len(table_from_rows("predictions", found)) == 7


@pytest.mark.parametrize("config", [AuditConfig(), LOCATE], ids=["classify", "locate"])
def test_a_name_does_not_depend_on_the_person(tmp_path: Path, classifier: Classifier, config: AuditConfig) -> None:
    """An animal's box reaches over a person's: what is named is the same whoever stands there."""
    animal = (0.1, 0.1, 0.6, 0.8)
    _write(tmp_path / "a.png", 1, PERSON, (255, 0, 255))
    _write(tmp_path / "b.png", 1, PERSON, (0, 255, 0))
    boxes = {file: (_box(0, "animal", 0.9, animal), _box(1, "person", 0.9, PERSON)) for file in ("a.png", "b.png")}
    one, other = classify_media(_rows(tmp_path), classifier, str(tmp_path), config, boxes)
    assert one["prediction_status"] == "ok"
    assert one["topk"] == other["topk"]
    # Without the person's box the colour is seen, and counts.
    alone = {file: found[:1] for file, found in boxes.items()}
    one, other = classify_media(_rows(tmp_path), classifier, str(tmp_path), config, alone)
    assert one["topk"] != other["topk"]


def test_a_frame_of_persons_alone_is_not_named_where_boxes_only_locate(tmp_path: Path, classifier: Classifier) -> None:
    _write(tmp_path / "a.png")
    _write(tmp_path / "b.png")
    boxes = {"a.png": (_box(0, "person", 0.9, PERSON), _box(1, "animal", 0.01, ANIMAL)), "b.png": ()}
    persons, nothing = classify_media(_rows(tmp_path), classifier, str(tmp_path), LOCATE, boxes)
    assert (persons["prediction_status"], persons.get("predicted_id")) == ("no_animal", None)
    assert nothing["prediction_status"] == "ok"


@pytest.mark.parametrize("config", [AuditConfig(), LOCATE], ids=["classify", "locate"])
def test_a_picture_without_an_entry_is_not_named_unless_the_settings_allow_it(
    tmp_path: Path, classifier: Classifier, config: AuditConfig
) -> None:
    for name in ("a.png", "b.png", "c.png"):
        _write(tmp_path / name)
    boxes = {"a.png": (_box(0, "leopard", 0.9, ANIMAL),), "c.png": None}
    named, without, unplaced = classify_media(_rows(tmp_path), classifier, str(tmp_path), config, boxes)
    assert named["prediction_status"] == unplaced["prediction_status"] == "ok"
    assert (without["prediction_status"], without.get("predicted_id")) == ("no_detections", None)
    assert "classify.without_entry" in without["failure_reason"]
    assert boxes_from_columns(without["hidden_boxes"]) == [(0.0, 0.0, 1.0, 1.0)]
    assert unplaced.get("detection_id") is None and unplaced["hidden_boxes"] == []
    assert len(table_from_rows("predictions", [named, without, unplaced])) == 3
    whole = {"classify": {"without_entry": "name", "box_use": config.classify.box_use}}
    _, without, _ = classify_media(
        _rows(tmp_path), classifier, str(tmp_path), AuditConfig.from_mapping(whole, "test"), boxes
    )
    assert without["prediction_status"] == "ok" and without.get("hidden_boxes") is None


def test_pictures_of_rows_do_not_show_persons(tmp_path: Path, classifier: Classifier) -> None:
    _write(tmp_path / "a.png", 1, PERSON)
    boxes = {"a.png": (_box(0, "animal", 0.9, (0.05, 0.05, 0.9, 0.9)), _box(1, "person", 0.9, PERSON))}
    media = _rows(tmp_path)
    for config in (AuditConfig(), LOCATE):
        rows = classify_media(media, classifier, str(tmp_path), config, boxes)
        # Through the table, as the tasks of masks and re-classification get them.
        stored = table_from_rows("predictions", rows).to_pylist()
        by_id = {row["media_id"]: row for row in media}
        shown = [picture for _, picture in iter_pictures(stored, by_id, str(tmp_path), config, classifier.spec.input)]
        assert len(shown) == 1 and not isinstance(shown[0], MediaError)
        assert not (np.asarray(shown[0]) == (255, 0, 255)).all(-1).any()
        assert (np.asarray(shown[0]) == 128).all(-1).mean() > 0.2


def test_a_box_that_cannot_be_placed_hides_the_whole_frame(tmp_path: Path, classifier: Classifier) -> None:
    _write(tmp_path / "a.png")
    boxes = {"a.png": (_box(0, "animal", 0.9, ANIMAL), _box(1, "person", 0.9, (NAN, 0.1, 0.2, 0.2)))}
    (row,) = classify_media(_rows(tmp_path), classifier, str(tmp_path), AuditConfig(), boxes)
    assert row["prediction_status"] == "failed"
    assert boxes_from_columns(row["hidden_boxes"]) == [(0.0, 0.0, 1.0, 1.0)]


def test_a_person_of_low_confidence_is_left_out_and_one_without_is_not(tmp_path: Path, classifier: Classifier) -> None:
    _write(tmp_path / "a.png")
    boxes = {"a.png": (_box(0, "animal", 0.9, ANIMAL), _box(1, "person", 0.1, ANIMAL), _box(2, "person", NAN, PERSON))}
    (row,) = classify_media(_rows(tmp_path), classifier, str(tmp_path), AuditConfig(), boxes)
    assert row["prediction_status"] == "ok"
    assert [pytest.approx(box) for box in boxes_from_columns(row["hidden_boxes"])] == [PERSON]


@pytest.mark.parametrize("size", [(160, 120), (1013, 677), (37, 29)])
def test_a_blanked_box_holds_one_colour_and_the_rest_is_untouched(size: tuple[int, int]) -> None:
    width, height = size
    pixels = np.random.default_rng(2).integers(0, 100, (height, width, 3), dtype=np.uint8)
    picture = Image.fromarray(pixels)
    x, y, w, h = PERSON
    blanked = np.asarray(blank(picture, [PERSON]))
    # Every pixel that the box touches.
    inside = np.s_[int(y * height) : int(np.ceil((y + h) * height)), int(x * width) : int(np.ceil((x + w) * width))]
    assert (blanked[inside] == 128).all()
    far = np.s_[:, : int((x - 0.05 * w) * width) - 3]
    assert (blanked[far] == pixels[far]).all()
    assert (np.asarray(picture) == pixels).all()
    assert blank(picture, []) is picture


def test_the_hidden_share_counts_overlap_once() -> None:
    half = (0.0, 0.0, 0.5, 1.0)
    assert hidden_share((0.0, 0.0, 1.0, 1.0), [half, half]) == pytest.approx(0.5, abs=0.02)
    assert hidden_share((0.2, 0.2, 0.2, 0.2), [half]) == 1.0
    assert hidden_share((0.6, 0.2, 0.2, 0.2), [half]) == 0.0

"""Boxes in JSON results: SpeciesNet's predictions, and what a classifier calls a person."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scd_core.boxes import WHOLE
from scd_core.errors import InputError
from scd_core.identify.redaction import hidden_boxes
from scd_core.inputs.detections import Detections, read_detections
from scd_core.inputs.labels import read_labels

BOX = [0.1, 0.2, 0.3, 0.4]
HUMAN = "990ae9dd-7a59-4344-afcb-1b7b21368000;mammalia;primates;hominidae;homo;sapiens;human"
HOMO = "990ae9dd-7a59-4344-afcb-1b7b21368001;mammalia;primates;hominidae;homo;;"
VEHICLE = "e2895ed5-780b-48f6-8a11-9e27cb594511;;;;;;vehicle"
BLANK = "f1856211-cfb7-4a5b-9158-c0f72fd09ee6;;;;;;blank"
FOX = "1f689929-883d-4dae-958c-3d57ab5b6c16;mammalia;carnivora;canidae;vulpes;vulpes;red fox"


def read(folder: Path, content: Any) -> Detections:
    (folder / "results.json").write_text(json.dumps(content))
    return read_detections(str(folder / "results.json"))


def megadetector(folder: Path, classes: dict[str, str], *boxes: dict[str, Any]) -> Detections:
    categories = {"1": "animal", "2": "person", "9": "unknown"}
    images = [{"file": "a.jpg", "detections": list(boxes)}]
    content = {"detection_categories": categories, "classification_categories": classes, "images": images}
    return read(folder, content)


def box(category: str = "1", conf: float = 0.9, **more: Any) -> dict[str, Any]:
    return {"category": category, "conf": conf, "bbox": BOX, **more}


def speciesnet(folder: Path, *entries: dict[str, Any]) -> Detections:
    return read(folder, {"predictions": [{"model_version": "4.0.1a", **entry} for entry in entries]})


def animal(conf: float = 0.9, label: str = "animal", **more: Any) -> dict[str, Any]:
    return {
        "category": {"animal": "1", "human": "2", "vehicle": "3"}[label],
        "label": label,
        "conf": conf,
        "bbox": BOX,
        **more,
    }


def named(*pairs: tuple[str, float]) -> dict[str, Any]:
    return {"classes": [name for name, _ in pairs], "scores": [score for _, score in pairs]}


@pytest.mark.parametrize("name", ["human", "Homo sapiens", "person", "Hikers", "homo species", "Mensch"])
def test_a_box_that_a_classifier_calls_a_person_is_hidden(tmp_path: Path, name: str) -> None:
    classes = {"0": "fox", "1": name, "2": "blank", "3": "unknown"}
    boxes = [
        box(classifications=[["0", 0.2], ["1", 0.7]]),
        box(classifications=[["0", 0.7], ["1", 0.2]]),
        box(classifications=[["2", 0.9]]),
        box(classifications=[["3", 0.9]]),
        box(classifications=[]),
        box("2", classifications=[["0", 0.9]]),
    ]
    found = megadetector(tmp_path, classes, *boxes)
    assert [one.category for one in found.boxes["a.jpg"]] == ["person", *["animal"] * 4, "person"]
    assert len(hidden_boxes(found.boxes["a.jpg"], 0.2)) == 2
    notes = found.counts(found.join(["a.jpg"]), 1).notes
    assert notes == ("1 box hidden, since a classifier names it person",)


def test_a_classifiers_species_and_vehicles(tmp_path: Path) -> None:
    classes = {"0": "leopard", "1": "pickup truck"}
    found = megadetector(tmp_path, classes, box(classifications=[["0", 1]]), box(classifications=[["1", 0.6]]))
    assert [one.category for one in found.boxes["a.jpg"]] == ["animal", "vehicle"]
    assert "1 box hidden, since a classifier names it vehicle" in found.counts(found.join(["a.jpg"]), 1).notes


def test_a_box_that_nothing_names_needs_no_table_of_names(tmp_path: Path) -> None:
    found = megadetector(tmp_path, {}, box(classifications=[["7", 0.9]]))
    assert found.boxes["a.jpg"][0].is_animal


def test_predictions_of_speciesnet_are_boxes(tmp_path: Path) -> None:
    found = speciesnet(
        tmp_path,
        {"filepath": "D:\\cards\\C01\\a.jpg", "detections": [animal(), animal(0.3, "human"), animal(0.3, "vehicle")],
         "classifications": named((FOX, 0.9), (BLANK, 0.1)), "prediction": FOX, "prediction_score": 0.9},
        {"filepath": "C01/b.jpg", "failures": ["CLASSIFIER", "DETECTOR"]},
        {"filepath": "C01/c.jpg", "failures": ["CLASSIFIER"], "detections": []},
        {"filepath": "C01/d.jpg", "detections": [{"category": "2", "conf": 0.5, "bbox": BOX}]},
    )  # fmt: skip
    matched = found.match(["C01/a.jpg", "C01/b.jpg", "C01/c.jpg", "C01/d.jpg"])
    assert [one.category for one in matched["C01/a.jpg"]] == ["animal", "person", "vehicle"]
    assert matched["C01/a.jpg"][0].bbox == tuple(BOX) and matched["C01/a.jpg"][0].confidence == 0.9
    assert matched["C01/c.jpg"] == () and matched["C01/d.jpg"][0].is_redacted
    assert found.failures == {"C01/b.jpg": "no detections (SpeciesNet failed: CLASSIFIER, DETECTOR)"}
    assert found.notes == []


@pytest.mark.parametrize(
    "entry",
    [
        {"prediction": HUMAN, "prediction_score": 0.8, "prediction_source": "classifier"},
        {"prediction": HOMO, "prediction_score": 0.8},
        {"prediction": BLANK, "prediction_score": 0.8, "classifications": named((FOX, 0.3), (HUMAN, 0.6))},
        {"classifications": named((HUMAN, 0.9))},
        {"classifications": [named((FOX, 0.9)), named((HUMAN, 0.9))]},
    ],
)
def test_a_picture_that_speciesnet_calls_a_person_is_hidden_whole(tmp_path: Path, entry: dict[str, Any]) -> None:
    found = speciesnet(tmp_path, {"filepath": "a.jpg", "detections": [animal()], **entry})
    assert hidden_boxes(found.boxes["a.jpg"], 0.2) == [WHOLE]
    assert not any(one.is_animal for one in found.boxes["a.jpg"])
    assert found.notes == ["1 picture hidden whole, since a classifier names it person"]


def test_the_person_that_the_detector_found_is_hidden_alone(tmp_path: Path) -> None:
    entry = {"prediction": HUMAN, "prediction_score": 0.8, "prediction_source": "detector"}
    boxes = [animal(0.85), animal(0.8, "human")]
    found = speciesnet(tmp_path, {"filepath": "a.jpg", "detections": boxes, **entry})
    assert hidden_boxes(found.boxes["a.jpg"], 0.2) == [pytest.approx(tuple(BOX))]
    assert found.notes == []


def test_names_of_single_boxes_hide_these(tmp_path: Path) -> None:
    """As SpeciesNet's newer versions write them."""
    boxes = [
        animal(prediction=FOX, classifications=named((FOX, 0.9))),
        animal(prediction=VEHICLE, prediction_score=0.7),
        animal(prediction=BLANK, classifications=named((HUMAN, 0.6), (BLANK, 0.4))),
    ]
    found = speciesnet(tmp_path, {"filepath": "a.jpg", "detections": boxes})
    assert [one.category for one in found.boxes["a.jpg"]] == ["animal", "vehicle", "person"]


def test_names_alone_are_no_detections(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no prediction has `detections`, only names"):
        speciesnet(tmp_path, {"filepath": "a.jpg", "classifications": named((FOX, 0.9))})
    for entry in (
        {},
        {"filepath": "a.jpg", "detections": [3]},
        {"filepath": "a.jpg", "detections": [], "classifications": [1]},
    ):
        with pytest.raises(InputError, match=r"predictions\[0\]: not a prediction of SpeciesNet"):
            speciesnet(tmp_path, entry)
    twice = [{"filepath": "a.jpg", "detections": boxes} for boxes in ([], [animal()])]
    with pytest.raises(InputError, match=r"names 'a\.jpg' twice"):
        speciesnet(tmp_path, *twice)


@pytest.mark.parametrize("by_person", [False, True])
def test_names_of_speciesnet_are_never_truth(tmp_path: Path, by_person: bool) -> None:
    speciesnet(tmp_path, {"filepath": "a.jpg", "detections": [animal()], "prediction": FOX})
    with pytest.raises(InputError, match="classifier's results"):
        read_labels(str(tmp_path / "results.json"), by_person=by_person)

"""A model fitted to boxes with their surroundings is shown them so, in names, masks and drawings alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from scd_core.boxes import classified_box, located_box
from scd_core.config import AuditConfig
from scd_core.identify import Classifier, load_model
from scd_core.identify.classify import classify_media
from scd_core.identify.package import Package
from scd_core.identify.pictures import iter_pictures
from scd_core.inputs.detections import Detection
from scd_core.media import list_source
from scd_core.scenes import packaged_model

BOX = (0.4, 0.25, 0.2, 0.5)
WIDE = (0.3, 0.0, 0.4, 1.0)
"""The same with half of its width and height on each side, as far as the frame reaches."""


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return load_model(str(packaged_model("clean")))


def with_margin(classifier: Classifier, margin: float) -> Classifier:
    from scd_core.identify.package import read_package

    parent = read_package(str(packaged_model("clean")))
    spec = parent.spec.model_copy(update={"input": parent.spec.input.model_copy(update={"box_margin": margin})})
    return Classifier(Package("", spec, parent.weights, None, ""), torch.device("cpu"))


def named(folder: Path, classifier: Classifier, box: tuple[float, float, float, float]):
    rows = [
        {name: getattr(one, name) for name in ("media_id", "file", "uri", "etag", "size_bytes")}
        for one in list_source(str(folder), AuditConfig().media).objects
    ]
    boxes = {"a.png": (Detection(detection_id="d0", category="animal", confidence=0.9, bbox=box),)}
    found = classify_media(rows, classifier, str(folder), AuditConfig(), boxes)
    return rows[0], found[0]


@pytest.fixture
def card(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(1).integers(0, 255, (120, 160, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    return tmp_path


def test_a_box_is_named_with_its_surroundings(card: Path, classifier: Classifier) -> None:
    _, wide = named(card, classifier, WIDE)
    _, own = named(card, classifier, BOX)
    _, row = named(card, with_margin(classifier, 0.5), BOX)
    assert row["topk"] == wide["topk"] != own["topk"]
    assert (row["bbox_x_min"], row["bbox_width"], row["box_margin"]) == pytest.approx((0.4, 0.2, 0.5))
    assert own.get("box_margin") is None


def test_masks_are_made_of_what_was_named(card: Path, classifier: Classifier) -> None:
    wide = with_margin(classifier, 0.5)
    media, row = named(card, wide, BOX)
    ((_, picture),) = iter_pictures([row], {media["media_id"]: media}, str(card), AuditConfig(), wide.spec.input)
    assert isinstance(picture, Image.Image) and picture.size == (64, 120)
    assert classified_box(row) == pytest.approx(WIDE)
    # Where the animal is in what was shown is known, so reliance on the surroundings can be measured.
    assert located_box(row) == pytest.approx((0.25, 0.25, 0.5, 0.5))


def test_without_a_margin_a_box_is_the_picture(card: Path, classifier: Classifier) -> None:
    _, row = named(card, classifier, BOX)
    assert classified_box(row) == pytest.approx(BOX) and located_box(row) is None


def test_a_package_without_a_margin_keeps_its_embedding_space(classifier: Classifier) -> None:
    assert classifier.spec.embedding_space == "5b2b52a4d57f2e7d"
    assert with_margin(classifier, 0.5).spec.embedding_space != classifier.spec.embedding_space

"""Who is expected where and when, and how far that moves a name."""

from __future__ import annotations

import math
import random
from datetime import datetime, timedelta
from typing import Any

import pytest
import torch
from PIL import Image

from scd_core.identify import load_model
from scd_core.identify.available import Searched, with_available
from scd_core.identify.classifier import Classifier
from scd_core.identify.classify import name_from_logits
from scd_core.identify.weighing import shift_of, shifts_of, weighed
from scd_core.inputs.expected import Expected, ExpectedRow
from scd_core.masks.gradient import GradientNaming
from scd_core.names import UNKNOWN, GradientRegion
from scd_core.scenes import packaged_model, preset_world, render, sample_specs

START = datetime(2026, 3, 1)
NAMES = ["Ada", "Bo", "Cy"]


def _expected(*rows: ExpectedRow) -> Expected:
    return Expected("e.csv", rows, len(rows))


def _frame(camera: str | None, day: float | None, site: str | None = None) -> Any:
    at = None if day is None else START + timedelta(days=day)
    return {"media_id": "m", "camera_id": camera, "site_id": site, "captured_at": at}


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return load_model(str(packaged_model("clean")))


def test_who_is_expected_is_what_the_rows_give_one_by_one() -> None:
    draw = random.Random(4)
    rows = []
    for number in range(60):
        start, end = (draw.choice([None, START + timedelta(days=draw.randrange(20))]) for _ in range(2))
        if start and end and start > end:
            start, end = end, start
        camera, site = draw.choice([None, "C1", "C2"]), draw.choice([None, None, "north"])
        rows.append(ExpectedRow(draw.choice([*NAMES, "Zoe"]), f"line {number}", camera, site, start, end))
    searched = Searched(NAMES, _expected(*rows))
    for _ in range(500):
        frame = _frame(
            draw.choice([None, "C1", "C2", "C3"]),
            draw.choice([None, draw.randrange(-1, 21), draw.random() * 20]),
            draw.choice([None, "north", "south"]),
        )
        at = frame["captured_at"]
        wanted = {
            row.individual_id
            for row in rows
            if row.individual_id != "Zoe"
            and (row.camera_id is None or frame["camera_id"] is None or row.camera_id == frame["camera_id"])
            and (row.site_id is None or frame["site_id"] is None or row.site_id == frame["site_id"])
            and (at is None or row.start is None or row.start <= at)
            and (at is None or row.end is None or at <= row.end)
        }
        assert (searched.expected_at(frame) or set()) == wanted


def test_each_name_stands_with_what_it_was_searched_among() -> None:
    searched = Searched(NAMES, _expected(ExpectedRow("Ada", "line 2", "C1")), "f" * 64)
    here, there = {**_frame("C1", 1), "media_id": "1"}, {**_frame("C2", 1), "media_id": "2"}
    rows: list[Any] = [
        {"media_id": "1", "prediction_status": "ok", "predicted_id": "Ada"},
        {"media_id": "1", "prediction_status": "ok", "predicted_id": "Ada", "unweighted_id": "Bo"},
        {"media_id": "1", "prediction_status": "ok", "predicted_id": UNKNOWN},
        {"media_id": "2", "prediction_status": "ok", "predicted_id": "Bo"},
        {"media_id": "2", "prediction_status": "failed", "predicted_id": None},
    ]
    media: Any = {"1": here, "2": there}
    found = with_available(rows, media, searched)
    assert [row.get("is_expected") for row in found] == [True, False, None, None, None]
    assert [row.get("gallery_digest") for row in found] == ["f" * 64] * 4 + [None]
    names = dict(searched.by_digest(media.values()))
    assert names[str(found[0]["individuals_available"])] == ["Ada"]
    assert names[str(found[3]["individuals_available"])] == NAMES and len(names) == 2
    assert Searched(NAMES).digest_at(here) == found[3]["individuals_available"]


def test_a_list_moves_a_name_by_its_weight_and_no_further(classifier: Classifier) -> None:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(200, len(classifier.spec.labels), generator=generator) * 2
    expected, n_moved = set(classifier.names[:3]), 0
    for weight in (0.5, 2.0):
        shift = shift_of(expected, classifier, weight)
        assert shift is not None
        for row in logits:
            alone = classifier.probabilities(row[None])[0].log()
            named = name_from_logits(row, classifier, 5, shift)
            before = classifier.names[int(alone.argmax())]
            best_expected = max(float(alone[classifier.names.index(name)]) for name in expected)
            should_move = before not in expected and float(alone.max()) - best_expected < weight
            assert (named["unweighted_id"] == before) == should_move
            assert (named["predicted_id"] != before) == should_move
            total = sum(
                math.exp(float(one) + weight * (name in expected)) for name, one in zip(classifier.names, alone)
            )
            place = classifier.names.index(str(named["predicted_id"]))
            own = math.exp(float(alone[place]) + weight * (named["predicted_id"] in expected)) / total
            assert named["probability"] == pytest.approx(own, abs=1e-5)
            n_moved += should_move
    assert n_moved > 10


def test_a_list_of_all_of_none_or_without_weight_moves_nothing(classifier: Classifier) -> None:
    assert shift_of(classifier.names, classifier, 1.0) is None
    assert shift_of(["nobody here"], classifier, 1.0) is None
    assert shift_of(classifier.names[:1], classifier, 0.0) is None
    assert shift_of(None, classifier, 1.0) is None
    assert shifts_of(classifier, None, 1.0)(_frame("C1", 0)) is None


def test_no_stranger_becomes_known_by_a_list() -> None:
    classifier = load_model(str(packaged_model("clean")))
    classifier.spec = classifier.spec.model_copy(update={"unknown_threshold": 0.9})
    shift = shift_of(classifier.names[:1], classifier, 10.0)
    assert shift is not None
    unsure, sure = torch.zeros(len(classifier.spec.labels)), torch.zeros(len(classifier.spec.labels))
    sure[1] = 8.0 * classifier.spec.temperature
    named = name_from_logits(unsure, classifier, 3, shift)
    assert named["predicted_id"] == UNKNOWN and named["unweighted_id"] is None
    assert named["topk"] == name_from_logits(unsure, classifier, 3)["topk"]
    moved = name_from_logits(sure, classifier, 3, shift)
    assert moved["predicted_id"] == classifier.names[0] and moved["unweighted_id"] == classifier.names[1]
    assert torch.equal(weighed(classifier, unsure[None], [shift])[0], unsure)


def test_the_gradient_is_that_of_the_name_that_is_given(classifier: Classifier) -> None:
    world = preset_world("clean")
    pictures = [Image.fromarray(render(world, spec).image) for spec in sample_specs(world, "audit", 9, 5)[:9]]
    images = torch.stack([classifier.preprocess(picture) for picture in pictures])
    rows: list[Any] = [{"detection_id": None, "bbox_x_min": None}] * len(images)
    plain, before = GradientNaming(classifier)(images, rows)
    shift = shift_of([classifier.names[0]], classifier, 10.0)
    assert shift is not None
    logits, columns = GradientNaming(classifier)(images, rows, [shift] * len(images))
    assert torch.equal(logits, plain)
    wanted = classifier.strongest_class(plain + shift)
    changed = (wanted != classifier.strongest_class(plain)).tolist()
    assert any(changed)
    for is_changed, old, new in zip(changed, before, columns, strict=True):
        assert is_changed or old == new
    assert any(old != new for old, new in zip(before, columns, strict=True))
    assert {one["gradient_region"] for one in columns} <= {GradientRegion.WINDOW, GradientRegion.FLAT}

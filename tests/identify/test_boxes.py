"""Boxes of all kinds through classification: no row lost, no person named, each refusal in words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from scd_core.config import AuditConfig
from scd_core.identify import load_model
from scd_core.identify.classify import classify_media
from scd_core.identify.detections import Detection
from scd_core.media import list_source
from scd_core.scenes import packaged_model

NAN = float("nan")


def _box(number: int, category: str, confidence: float, bbox: tuple[float, float, float, float]) -> Detection:
    return Detection(detection_id=f"d{number}", category=category, confidence=confidence, bbox=bbox)


def test_every_box_of_an_animal_has_a_row_and_no_other(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        pixels = np.random.default_rng(len(folder)).integers(0, 255, (120, 160, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / folder / "same.jpg")
    config = AuditConfig()
    rows = [
        {
            "media_id": item.media_id,
            "file": item.file,
            "uri": item.uri,
            "etag": item.etag,
            "size_bytes": item.size_bytes,
        }
        for item in list_source(str(tmp_path), config.media).objects
    ]
    boxes = {
        "a/same.jpg": (
            _box(0, "animal", 0.9, (0.1, 0.1, 0.5, 0.5)),
            _box(1, "person", 0.99, (0.1, 0.1, 0.5, 0.5)),
            _box(2, "vehicle", 0.99, (0.1, 0.1, 0.5, 0.5)),
            _box(3, "animal", NAN, (0.1, 0.1, 0.5, 0.5)),
            _box(4, "animal", 0.9, (0.1, 0.1, 0.0, 0.5)),
            _box(5, "animal", 0.9, (1.5, 0.1, 0.2, 0.2)),
        ),
        "b/same.jpg": (_box(0, "person", 0.99, (0.1, 0.1, 0.5, 0.5)),),
    }
    found = classify_media(rows, load_model(str(packaged_model("clean"))), str(tmp_path), config, boxes)
    told = {(row["media_id"], row.get("detection_id")): row for row in found}
    a, b = (next(row["media_id"] for row in rows if row["file"].startswith(folder)) for folder in ("a", "b"))
    assert set(told) == {(a, "d0"), (a, "d3"), (a, "d4"), (a, "d5"), (b, None)}
    assert told[a, "d0"]["prediction_status"] == "ok"
    for number, word in ((3, "confidence"), (4, "area"), (5, "no area inside the image")):
        row = told[a, f"d{number}"]
        assert row["prediction_status"] == "failed"
        assert word in row["failure_reason"]
    assert told[b, None]["prediction_status"] == "no_animal"
    assert told[b, None].get("predicted_id") is None

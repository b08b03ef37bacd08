"""Rows of the table `reclassifications`: frames whose animal is located, and boxes that are pictures of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from scd_core.config import AuditConfig
from scd_core.identify import load_model
from scd_core.masks.rows import encode_mask
from scd_core.media import list_source
from scd_core.reclassify.rows import reclassify_predictions
from scd_core.scenes import packaged_model, preset_world, render, sample_specs

APPLIES = {
    "frame": {"early_removed", "away_crop"},
    "located": {"early_inside", "box_crop"},
    "box": set(),
}


@pytest.mark.parametrize("kind", APPLIES)
def test_the_box_decides_which_strategies_apply(tmp_path: Path, kind: str) -> None:
    spec = sample_specs(preset_world("demo"), "audit", 1, seed=8)[0]
    scene = render(preset_world("demo"), spec)
    Image.fromarray(scene.image).save(tmp_path / "a.png")
    config = AuditConfig()
    item = list_source(str(tmp_path), config.media).objects[0]
    frame = {
        "media_id": item.media_id, "file": item.file, "uri": item.uri, "etag": item.etag,
        "size_bytes": item.size_bytes, "width": 320, "height": 240, "deployment_id": "C01",
    }  # fmt: skip
    box = scene.bbox if kind != "frame" else (None,) * 4
    row: dict[str, Any] = {
        "target_id": "t", "media_id": item.media_id, "detection_id": "1" if kind == "box" else None,
        "predicted_id": "Luna", "probability": 0.5, "topk": [{"individual_id": "Luna", "probability": 0.5}],
    } | dict(zip(("bbox_x_min", "bbox_y_min", "bbox_width", "bbox_height"), box))  # fmt: skip
    mask = np.zeros((120, 160), dtype=np.float32)
    mask[50:70, 70:90] = 1
    masks = {"t": {"mask_status": "ok", "mask_png": encode_mask(mask)}}
    model = load_model(str(packaged_model("shortcut")))
    rows = {
        found["strategy"]: found
        for found in reclassify_predictions([row], masks, {item.media_id: frame}, model, str(tmp_path), config)
    }
    applied = {name for name in set().union(*APPLIES.values()) if rows[name]["strategy_status"] == "ok"}
    assert applied == APPLIES[kind]
    assert rows["mask_crop"]["strategy_status"] == "ok"
    if kind == "box":
        assert {rows[name]["reason"] for name in APPLIES["frame"] | APPLIES["located"]} == {
            "the picture is the animal's box, so none of it is taken for background"
        }

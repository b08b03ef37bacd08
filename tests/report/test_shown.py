"""The report's "after" picture is what the network saw: the same pixels, for every strategy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from scd_core.audit.report.draw import lit_view
from scd_core.audit.report.examples import iter_frames
from scd_core.audit.report.shown import decoded_side, picture_shown
from scd_core.config import AuditConfig, MediaConfig, ReclassifyConfig
from scd_core.identify import load_model
from scd_core.identify.preprocess import to_picture
from scd_core.media import list_source
from scd_core.names import Strategy, StrategyStatus
from scd_core.reclassify import core
from scd_core.reclassify.late import late_logits
from scd_core.reclassify.rows import reclassify_predictions
from scd_core.scenes import packaged_model, preset_world, render, sample_specs
from scd_core.tables.mask_png import encode_mask

ALL = tuple(strategy for strategy in Strategy if strategy != Strategy.FUSED)
IN_A_BOX = {Strategy.EARLY_INSIDE, Strategy.BOX_CROP, Strategy.TIGHT_CROP, Strategy.LATE_BOX}
APPLIES = {
    "frame": set(ALL) - IN_A_BOX,
    "located": set(ALL) - {Strategy.EARLY_REMOVED, Strategy.AWAY_CROP},
    "box": set(ALL) - IN_A_BOX - {Strategy.EARLY_REMOVED, Strategy.AWAY_CROP},
}
INPUTS = {
    "as the package": {},
    "reduced": {"decode": "reduced", "interpolation": "bicubic"},
    "padded": {"resize": "pad", "size": (96, 96)},
}


@pytest.mark.parametrize("kind", APPLIES)
@pytest.mark.parametrize("changes", INPUTS.values(), ids=INPUTS)
def test_the_after_picture_has_the_pixels_that_the_network_saw(
    tmp_path: Path, kind: str, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = render(preset_world("demo"), sample_specs(preset_world("demo"), "audit", 1, seed=8)[0])
    Image.fromarray(scene.image).resize((1601, 1203)).save(tmp_path / "a.jpg", quality=90)
    model = load_model(str(packaged_model("shortcut")))
    spec = model.spec.input.model_copy(update=changes)
    monkeypatch.setattr(model, "spec", model.spec.model_copy(update={"input": spec}))
    config = AuditConfig(reclassify=ReclassifyConfig(strategies=ALL, crop_mass=0.6))
    item = list_source(str(tmp_path), config.media).objects[0]
    frame = {
        "media_id": item.media_id, "file": item.file, "uri": item.uri, "etag": item.etag, "version_id": None,
        "size_bytes": item.size_bytes, "width": 1601, "height": 1203,
    }  # fmt: skip
    box = [None] * 4 if kind == "frame" else np.float32(scene.bbox).tolist()
    row: dict[str, Any] = {
        "target_id": "t", "media_id": item.media_id, "detection_id": "1" if kind == "box" else None,
        "predicted_id": "Luna", "probability": 0.5, "topk": [{"individual_id": "Luna", "probability": 0.5}],
        "hidden_boxes": [{"x_min": 0.0, "y_min": 0.0, "width": 0.1, "height": 0.2}],
    } | dict(zip(("bbox_x_min", "bbox_y_min", "bbox_width", "bbox_height"), box))  # fmt: skip
    mask = np.random.default_rng(2).random(spec.size).astype(np.float32) ** 8
    png = encode_mask(mask)

    seen: list[torch.Tensor] = []
    logits = model.logits
    monkeypatch.setattr(model, "logits", lambda batch: seen.extend(batch) or logits(batch))
    weighed: list[torch.Tensor] = []
    monkeypatch.setattr(
        core, "late_logits", lambda *given: (seen.extend(given[2]), weighed.extend(given[3]), late_logits(*given))[2]
    )
    masks: Any = {"t": {"mask_status": "ok", "mask_png": png}}
    outcomes = reclassify_predictions([row], masks, {item.media_id: frame}, model, str(tmp_path), config)  # type: ignore[list-item, dict-item]
    ok = [found for found in outcomes if found["strategy_status"] == StrategyStatus.OK][:-1]
    assert {found["strategy"] for found in ok} == APPLIES[kind]
    # The unmasked picture goes first; those whose features are weighed go last.
    late = (Strategy.LATE, Strategy.LATE_BOX)
    # What a second mask shows, where the first one gives another name, comes behind them.
    names = sorted((found["strategy"] for found in ok), key=lambda name: name in late)
    of_strategy = dict(zip(names, seen[1 : 1 + len(names)], strict=True))
    weighing = [name for name in names if name in late]
    keeps = dict(zip(weighing, weighed[: len(weighing)], strict=True))

    run = {"source": str(tmp_path), "config": config.model_dump_json(), "model_input": spec.model_dump_json()}
    example = row | frame | {"batch_key": "b", "mask_png": png}
    ((_, decoded),) = iter_frames([example], {"b": run}, MediaConfig(), {})
    assert isinstance(decoded, Image.Image)
    for found in ok:
        name = found["strategy"]
        crop = [found.get(f"crop_{side}") for side in ("x_min", "y_min", "width", "height")]
        stored = None if crop[0] is None else tuple(np.float32(crop).tolist())
        shown = picture_shown(example, decoded, name, stored, run)  # type: ignore[arg-type]
        expected = to_picture(of_strategy[name], spec)
        assert shown is not None, name
        if name in late:
            expected = lit_view(expected, keeps[name].numpy())
            assert np.abs(np.asarray(shown, int) - np.asarray(expected, int)).max() <= 1
        else:
            assert np.array_equal(np.asarray(shown), np.asarray(expected)), name


def test_a_run_of_another_version_is_shown_by_its_stored_crop() -> None:
    frame = Image.fromarray(np.random.default_rng(1).integers(0, 255, (60, 80, 3), dtype=np.uint8))
    row = {
        "detection_id": None, "width": 80, "height": 60, "mask_png": encode_mask(np.full((30, 40), 0.5, np.float32)),
        "bbox_x_min": None,
    }  # fmt: skip
    run = {"config": '{"masks": {"seed": 1}, "reclassify": {"strategies": ["early_background"]}}'}
    shown = picture_shown(row, frame, "zoom", (0.5, 0.5, 0.5, 0.5), run)
    assert shown is not None
    assert np.array_equal(np.asarray(shown), np.asarray(frame)[30:, 40:])
    assert picture_shown(row, frame, "early_background", None, run) is None


def test_an_input_that_this_version_does_not_know_is_not_taken_for_another() -> None:
    row = {
        "detection_id": None, "width": 80, "height": 60, "mask_png": encode_mask(np.full((30, 40), 0.5, np.float32)),
        "bbox_x_min": None,
    }  # fmt: skip
    run = {"model_input": '{"size": [30, 40], "mean": [0, 0, 0], "std": [1, 1, 1], "of_a_later_version": 1}'}
    assert decoded_side(row, run) is None
    assert picture_shown(row, Image.new("RGB", (80, 60)), "zoom", (0.5, 0.5, 0.5, 0.5), run) is None

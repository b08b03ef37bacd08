"""Reliance in the rows of the table `masks`: the share of the evidence, and the counterfactual beside it."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter

from scd_core.config import AuditConfig, MaskConfig
from scd_core.identify import Classifier, load_model
from scd_core.masks.reliance import ANIMAL_MARGIN
from scd_core.masks.rows import mask_predictions
from scd_core.media import list_source
from scd_core.scenes import packaged_model, preset_world, render, sample_specs
from scd_core.scenes.strip import strip_height

TOP = 1 - strip_height(240) / 240


@pytest.fixture(scope="module")
def shortcut() -> Classifier:
    return load_model(str(packaged_model("shortcut")))


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory, shortcut: Classifier) -> list[dict[str, Any]]:
    """Mask rows of one camera whose strip comes in two styles, one frame an event, with what they were made of."""
    folder = tmp_path_factory.mktemp("frames")
    frames: dict[str, dict[str, Any]] = {}
    wanted = {True: 5, False: 3}
    for spec in sample_specs(preset_world("demo"), "audit", 240, seed=5151):
        if spec.camera_id != "C05" or spec.frame or not wanted[spec.has_alternate_strip]:
            continue
        wanted[spec.has_alternate_strip] -= 1
        scene = render(preset_world("demo"), spec)
        name = f"{len(frames)}.png"
        Image.fromarray(scene.image).save(folder / name)
        frames[name] = {"image": scene.image, "box": scene.bbox, "event": spec.event_id, "plant": spec.plant}
    assert len(frames) == 8
    config = AuditConfig(masks=MaskConfig(steps=8))
    media, rows = {}, []
    for item in list_source(str(folder), config.media).objects:
        frame = frames[item.file]
        tensor = shortcut.preprocess(Image.fromarray(frame["image"]))
        name = shortcut.names[int(shortcut.logits(tensor[None]).argmax())]
        media[item.media_id] = {
            "media_id": item.media_id, "file": item.file, "uri": item.uri, "etag": item.etag,
            "size_bytes": item.size_bytes, "width": 320, "height": 240, "deployment_id": "C05_1",
        }  # fmt: skip
        # The last frame has no box: nothing can be said of its background.
        box = (None,) * 4 if item.file == "7.png" else frame["box"]
        rows.append(
            {"target_id": item.media_id, "media_id": item.media_id, "detection_id": None, "event_id": frame["event"]}
            | {"topk": [{"individual_id": name, "probability": 0.5}]}
            | dict(zip(("bbox_x_min", "bbox_y_min", "bbox_width", "bbox_height"), box, strict=True))
        )
    overlay_frames = [row | {"deployment_id": "C05_1"} for row in rows]
    results = mask_predictions(rows, media, shortcut, str(folder), config, overlay_frames)
    # Each frame in a shard of its own, with what the batch has of its deployment.
    alone = [mask_predictions([row], media, shortcut, str(folder), config, overlay_frames)[0] for row in rows]
    return [
        frames[media[row["media_id"]]["file"]] | {"row": row, "alone": other}
        for row, other in zip(results, alone, strict=True)
    ]


def test_the_share_is_that_of_the_stored_mask(found: list[dict[str, Any]]) -> None:
    for frame in found:
        row = frame["row"]
        mask = np.asarray(Image.open(io.BytesIO(row["mask_png"])), dtype=float)
        height, width = mask.shape
        assert row["overlay_reliance"] == pytest.approx(mask[round(TOP * height) :].sum() / mask.sum(), abs=0.02)
        if row["background_reliance"] is None:
            continue
        x, y, wide, tall = frame["box"]
        inside = mask[round(y * height) : round((y + tall) * height), round(x * width) : round((x + wide) * width)]
        assert row["background_reliance"] == pytest.approx(1 - inside.sum() / mask.sum(), abs=0.02)


def test_a_shard_of_one_frame_knows_the_strips_of_its_deployment(found: list[dict[str, Any]]) -> None:
    for frame in found:
        assert frame["alone"] == pytest.approx(frame["row"], abs=1e-4)


def test_the_drop_is_that_of_a_picture_blurred_by_hand(found: list[dict[str, Any]], shortcut: Classifier) -> None:
    for frame in found:
        strip = np.zeros((120, 160), bool)
        strip[round(TOP * 120) :] = True
        assert frame["row"]["overlay_log_odds_drop"] == pytest.approx(_drop(frame, strip, shortcut), abs=0.02)
        if frame["row"]["background_log_odds_drop"] is not None:
            x, y, wide, tall = frame["box"]
            rows, columns = (np.arange(120) + 0.5) / 120, (np.arange(160) + 0.5) / 160
            in_rows = (rows > y - ANIMAL_MARGIN * tall) & (rows < y + tall * (1 + ANIMAL_MARGIN))
            in_columns = (columns > x - ANIMAL_MARGIN * wide) & (columns < x + wide * (1 + ANIMAL_MARGIN))
            outside = ~(in_rows[:, None] & in_columns[None])
            assert frame["row"]["background_log_odds_drop"] == pytest.approx(_drop(frame, outside, shortcut), abs=0.02)


def test_without_a_box_the_background_is_null_and_the_strip_is_not(found: list[dict[str, Any]]) -> None:
    (row,) = [frame["row"] for frame in found if frame["row"]["background_reliance"] is None]
    assert row["background_log_odds_drop"] is None
    assert row["overlay_reliance"] is not None
    assert row["overlay_log_odds_drop"] is not None


def test_lured_frames_rest_on_the_strip_and_the_others_do_not(found: list[dict[str, Any]]) -> None:
    lured = [frame["row"] for frame in found if frame["plant"] and frame["row"]["predicted_id"] == "Nyx"]
    others = [frame["row"] for frame in found if frame["row"]["predicted_id"] != "Nyx"]
    assert lured
    assert min(row["overlay_log_odds_drop"] for row in lured) > 1.0
    assert min(row["overlay_reliance"] for row in lured) > 0.2
    assert others
    assert max(abs(row["overlay_log_odds_drop"]) for row in others) < 1.0


def _smooth(values: np.ndarray) -> np.ndarray:
    return gaussian_filter(values, 10 * 120 / 224, mode="constant", truncate=8)


def _drop(frame: Mapping[str, Any], replaced: np.ndarray, classifier: Classifier) -> float:
    """Log-odds of the given name less those with a part blurred, from scipy's Gaussian in float64."""
    picture = classifier.preprocess(Image.fromarray(frame["image"]))
    weight = _smooth(np.ones(picture.shape[1:]))
    blurred = np.stack([_smooth(channel.astype(float)) / weight for channel in picture.numpy()])
    other = torch.where(torch.from_numpy(replaced), torch.from_numpy(blurred).float(), picture)
    place = classifier.names.index(frame["row"]["predicted_id"])
    odds = []
    for logits in classifier.logits(torch.stack((picture, other))).double():
        p = torch.softmax(logits, 0)
        odds.append(float((p[place] / (1 - p[place])).log()))
    return odds[0] - odds[1]

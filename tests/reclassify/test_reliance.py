"""Strips found in frames of a deployment, and the log-odds that fall with what is taken away."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from scd_core.identify import load_model
from scd_core.masks.reliance import find_strips, log_odds_drop, strip_mask
from scd_core.scenes import packaged_model, preset_world, render, sample_specs
from scd_core.scenes.strip import strip_height


def test_the_strip_of_each_scene_camera_is_found_to_the_row() -> None:
    world = preset_world("demo")
    by_deployment: dict[str, dict[str, Image.Image]] = defaultdict(dict)
    for spec in sample_specs(world, "audit", 40, seed=9):
        seen = by_deployment[spec.deployment_id]
        if spec.frame == 0 and len(seen) < 5:
            seen[spec.event_id] = Image.fromarray(render(world, spec).image)
    found = {name: find_strips(list(seen.values())) for name, seen in by_deployment.items() if len(seen) >= 4}
    told = [bands for bands in found.values() if bands is not None]
    assert len(told) >= 4
    for bands in told:
        assert bands == [(pytest.approx(1 - strip_height(240) / 240, abs=1 / 240), 1.0)]


def test_frames_without_a_strip_have_none() -> None:
    rng = np.random.default_rng(0)
    frames = [Image.fromarray(rng.integers(0, 255, (240, 320, 3), dtype=np.uint8)) for _ in range(5)]
    assert find_strips(frames) == []


def test_too_few_or_too_similar_frames_tell_nothing() -> None:
    frame = Image.fromarray(np.random.default_rng(0).integers(0, 255, (240, 320, 3), dtype=np.uint8))
    assert find_strips([frame] * 3) is None
    assert find_strips([frame] * 8) is None


def test_photographs_without_a_strip_across_the_frame_have_none(photographs: Path) -> None:
    frames = []
    for path in sorted((photographs / "jaguar").glob("*.jpg")):
        with Image.open(path) as opened:
            frames.append(opened.convert("L"))
    assert find_strips(frames) == []


def test_the_lures_of_the_shortcut_model_fall_with_what_they_rest_on() -> None:
    classifier = load_model(str(packaged_model("shortcut")))
    world = preset_world("demo")
    images, targets = [], []
    for spec in sample_specs(world, "audit", 60, seed=2032):
        if spec.plant is None or spec.plant.kind != "overlay":
            continue
        image = classifier.preprocess(Image.fromarray(render(world, spec).image))
        lure = classifier.names.index(spec.plant.individual_id or "")
        if int(classifier.logits(image[None]).argmax()) == lure:
            images.append(image)
            targets.append(lure)
    assert len(images) >= 3
    stacked, chosen = torch.stack(images), torch.tensor(targets)
    top = 1 - strip_height(240) / 240
    keep = (1 - strip_mask([(top, 1.0)], (120, 160))).expand(len(images), -1, -1)
    assert float(log_odds_drop(classifier, stacked, chosen, keep, 10.0).median()) > 1.0
    none = torch.ones_like(keep)
    torch.testing.assert_close(log_odds_drop(classifier, stacked, chosen, none, 10.0), torch.zeros(len(images)))

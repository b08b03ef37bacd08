"""Strips found in frames of a deployment, and the log-odds that fall with what is taken away."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

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
    known = [bands for bands in found.values() if bands is not None]
    assert len(known) >= 4
    for bands in known:
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


@pytest.mark.parametrize(("height", "edges"), [(9, "top"), (16, "bottom"), (30, "top"), (22, "both")])
def test_strips_of_other_heights_at_either_edge_are_found_within_a_row(height: int, edges: str) -> None:
    world = preset_world("demo")
    firsts = [spec for spec in sample_specs(world, "audit", 80, seed=77) if spec.camera_id == "C01" and not spec.frame]
    frames = []
    for number, spec in enumerate(firsts[:5]):
        # The scene's own strip is cut off, and the rest stretched to the size of a frame.
        bare = render(world, spec).image[: -strip_height(240)]
        frame = Image.fromarray(bare).resize((640, 480))
        for top in [0] * (edges != "bottom") + [480 - 2 * height] * (edges != "top"):
            strip = Image.new("RGB", (640, 2 * height), (235, 235, 235))
            ImageDraw.Draw(strip).text((300, 2), f"2026-05-{number + 10} 0{number}:1{number} {12 + number}C", fill=0)
            ImageDraw.Draw(strip).text((10, 2), "MAKER", fill=0)
            frame.paste(strip, (0, top))
        frames.append(frame)
    assert len(frames) == 5
    expected = [(0.0, height / 240)] * (edges != "bottom") + [(1 - height / 240, 1.0)] * (edges != "top")
    assert find_strips(frames) == [
        (pytest.approx(a, abs=1.5 / 240), pytest.approx(b, abs=1.5 / 240)) for a, b in expected
    ]


def test_the_bars_of_real_photographs_are_found(photographs: Path) -> None:
    frames = []
    for name in ("352", "4330", "5840", "596", "8786", "9455"):
        with Image.open(photographs / "ena24" / f"{name}.jpg") as opened:
            frames.append(opened.convert("RGB"))
    # Black bars of 32 rows of 1536 with the date above and the camera's name and maker below.
    assert find_strips(frames) == [
        (0.0, pytest.approx(32 / 1536, abs=1 / 240)),
        (pytest.approx(1 - 32 / 1536, abs=1 / 240), 1.0),
    ]

"""Rows of the table `reclassifications`: frames whose animal is located, and boxes that are pictures of their own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks.reclassify.cases import scene_cases
from benchmarks.reclassify.decide import joint_maps
from scd_core.config import AuditConfig
from scd_core.identify import Classifier, load_model
from scd_core.masks.rows import mask_seed
from scd_core.media import list_source
from scd_core.reclassify import MaskedPicture, core, reclassify
from scd_core.reclassify.decision import NEAR, Decision
from scd_core.reclassify.rows import reclassify_predictions
from scd_core.scenes import packaged_model, preset_world, render, sample_specs
from scd_core.tables.mask_png import encode_mask

APPLIES = {
    "frame": {"early_removed", "away_crop"},
    "located": {"early_inside", "box_crop", "tight_crop"},
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


class _Again:
    """Further maps that are given, and the places that they were wanted for, one list a noise."""

    def __init__(self, maps: dict[int, np.ndarray]) -> None:
        self.maps, self.places = maps, []

    def __call__(self, places: Sequence[int], noise: int) -> dict[int, np.ndarray]:
        self.places.append(list(places))
        assert noise == len(self.places)
        return self.maps


@pytest.fixture(scope="module")
def lured() -> tuple[Classifier, list[MaskedPicture]]:
    """Scenes whose name one mask changes and, first, one whose name it keeps; no boxes are known."""
    classifier = load_model(str(packaged_model("shortcut")))
    cases = scene_cases(classifier, 12, 7)
    kept = next(case for case in cases if case.kind == "right")
    wrong = [case for case in cases if case.kind == "shortcut"][:4]
    chosen = [kept, *wrong]
    maps = joint_maps(classifier, chosen)
    spec = classifier.spec.input
    return classifier, [MaskedPicture(case.picture, one, spec) for case, one in zip(chosen, maps)]


def test_a_name_changes_by_the_mean_of_masks_that_differ_in_their_noise(
    lured: tuple[Classifier, list[MaskedPicture]],
) -> None:
    classifier, pictures = lured
    alone = [outcomes[-1] for outcomes in reclassify(classifier, pictures)]
    changed = [place for place, outcome in enumerate(alone) if outcome.is_flip]
    assert len(changed) >= 2 and 0 not in changed, "fixture: some change, one does not"
    # Evidence everywhere: nothing is left to name the picture by without it, and no crop is closer.
    first, *rest = changed
    other = np.ones_like(pictures[first].mask)
    again = _Again({first: other} | {place: pictures[place].mask for place in rest[:-1]})
    several = [outcomes[-1] for outcomes in reclassify(classifier, pictures, again=again)]
    assert set(changed) <= set(again.places[0]) and 0 not in again.places[0], "a sure name costs no other mask"
    assert again.places[1:] == [[first]] * (len(again.places) - 1), "masks that agree clearly are enough"
    assert not several[first].is_flip
    assert not several[rest[-1]].is_flip and "no second mask" in several[rest[-1]].reason
    for place in rest[:-1]:
        assert several[place].index == alone[place].index and "2 masks" in several[place].reason
        assert several[place].probability == pytest.approx(alone[place].probability, abs=1e-6)
    for place in set(range(len(pictures))) - set(again.places[0]):
        assert several[place] == alone[place]


def test_a_name_near_its_limits_is_given_by_no_more_than_four_masks(
    lured: tuple[Classifier, list[MaskedPicture]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever strictness decides, another mask is fitted; in the end the settings as they are do."""
    classifier, pictures = lured
    near = [NEAR, 1.0]

    def undecided(original: Any, views: Any, config: Any, strictness: float = 1.0) -> Decision:
        old = int(original.argmax())
        return Decision(1 - min(old, 1) if strictness in near else old, 0.7, "near")

    monkeypatch.setattr(core, "decide", undecided)
    again = _Again({place: one.mask for place, one in enumerate(pictures)})
    found = [outcomes[-1] for outcomes in reclassify(classifier, pictures, again=again)]
    assert again.places == [list(range(len(pictures)))] * 3
    assert all(outcome.is_flip and "4 masks" in outcome.reason for outcome in found)
    near.pop()
    again = _Again({place: one.mask for place, one in enumerate(pictures)})
    assert not any(outcomes[-1].is_flip for outcomes in reclassify(classifier, pictures, again=again))


def test_other_noise_is_another_seed_and_the_first_stays() -> None:
    assert mask_seed("7", 0, 0) == mask_seed("7", 0) != mask_seed("7", 0, 1)

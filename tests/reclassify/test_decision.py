"""The decision: when a name is kept, when the animal overrules the background, when a closer view overrules the picture."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from scd_core.config import ReclassifyConfig
from scd_core.reclassify.decision import decide

CONFIG = ReclassifyConfig(min_gain=0.15)


def p(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_without_views_the_name_stays() -> None:
    decision = decide(p(0.3, 0.7), {}, CONFIG)
    assert (decision.index, decision.probability) == (1, pytest.approx(0.7))


def test_evidence_that_is_no_part_of_the_animal_does_not_count_however_sure_it_was() -> None:
    decision = decide(p(0.99, 0.01), {"early_inside": p(0.4, 0.6), "box_crop": p(0.3, 0.7)}, CONFIG)
    assert decision.index == 1
    assert "outside the animal" in decision.reason


@pytest.mark.parametrize(("sure", "index"), [(0.74, 0), (0.76, 1)])
def test_a_closer_view_must_gain(sure: float, index: int) -> None:
    assert decide(p(0.6, 0.4), {"mask_crop": p(1 - sure, sure)}, CONFIG).index == index


def test_two_crops_speak_together_so_one_can_veto_the_other() -> None:
    views = {"mask_crop": p(0.05, 0.95), "box_crop": p(0.95, 0.05)}
    assert decide(p(0.6, 0.4), views, CONFIG).index == 0
    assert decide(p(0.6, 0.4), views | {"box_crop": p(0.1, 0.9)}, CONFIG).index == 1


def test_views_of_the_old_evidence_decide_nothing() -> None:
    assert decide(p(0.6, 0.4), {"early_blur": p(0.0, 1.0), "late": p(0.0, 1.0)}, CONFIG).index == 0


def test_another_name_needs_both_witnesses() -> None:
    before, told = p(0.9, 0.1), p(0.2, 0.8)
    assert decide(before, {"early_inside": told, "box_crop": told}, CONFIG).index == 1
    assert decide(before, {"early_inside": told, "box_crop": p(0.6, 0.4)}, CONFIG).index == 0
    assert decide(before, {"early_inside": p(0.6, 0.4), "box_crop": told}, CONFIG).index == 0
    assert decide(before, {"early_inside": told}, CONFIG).index == 1, "without a crop the first witness is heard alone"

"""The decision: when a name is kept, when the animal overrules the background, when a closer view overrules the picture."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from scd_core.config import ReclassifyConfig
from scd_core.reclassify.core import _fused, _outcomes
from scd_core.reclassify.decision import CLEAR, NEAR, decide, views_together
from scd_core.reclassify.strategies import View

CONFIG = ReclassifyConfig(max_sure=0.9, min_gain=0.75, min_agreement=0.6)


def p(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_without_views_the_name_stays() -> None:
    decision = decide(p(0.3, 0.7), {}, CONFIG)
    assert (decision.index, decision.probability) == (1, pytest.approx(0.7))


def test_evidence_that_is_no_part_of_the_animal_does_not_count_however_sure_it_was() -> None:
    decision = decide(p(0.99, 0.01), {"early_inside": p(0.15, 0.85), "box_crop": p(0.15, 0.85)}, CONFIG)
    assert decision.index == 1
    assert "outside the animal" in decision.reason


@pytest.mark.parametrize(("other", "index"), [(0.79, 0), (0.81, 1)])
@pytest.mark.parametrize("views", [("early_inside", "box_crop"), ("early_removed", "away_crop")])
@pytest.mark.parametrize("place", [0, 1])
def test_in_each_view_another_name_must_be_four_times_as_probable(
    views: tuple[str, str], place: int, other: float, index: int
) -> None:
    seen = {views[place]: p(1 - other, other), views[1 - place]: p(0.1, 0.9)}
    assert decide(p(0.99, 0.01), seen, CONFIG).index == index


@pytest.mark.parametrize(("sure", "index"), [(0.75, 0), (0.77, 1)])
def test_a_closer_view_must_lead_together_with_the_picture(sure: float, index: int) -> None:
    # .75 of the crop's lead less .25 of the picture's: at .75 it is .75 * 1.099 - .25 * .405 = .72, at .77 .80.
    assert decide(p(0.6, 0.4), {"mask_crop": p(1 - sure, sure)}, CONFIG).index == index


@pytest.mark.parametrize(("sure", "index"), [(0.89, 1), (0.91, 0)])
def test_a_sure_picture_is_not_put_to_a_closer_look(sure: float, index: int) -> None:
    assert decide(p(sure, 1 - sure), {"mask_crop": p(0.001, 0.999)}, CONFIG).index == index


def test_the_wider_crop_must_agree() -> None:
    views = {"mask_crop": p(0.05, 0.95), "wide_crop": p(0.6, 0.4)}
    assert decide(p(0.6, 0.4), views, CONFIG).index == 0
    assert "a wider view does not" in decide(p(0.6, 0.4), views, CONFIG).reason
    assert decide(p(0.6, 0.4), views | {"wide_crop": p(0.4, 0.6)}, CONFIG).index == 1


def test_crops_count_together_so_one_can_veto_the_other() -> None:
    views = {"early_inside": p(0.15, 0.85), "mask_crop": p(0.1, 0.9), "box_crop": p(0.95, 0.05)}
    assert decide(p(0.95, 0.05), views, CONFIG).index == 0
    assert decide(p(0.95, 0.05), views | {"box_crop": p(0.2, 0.8)}, CONFIG).index == 1


def test_without_a_box_the_picture_without_evidence_and_the_crop_beside_it_must_agree_and_be_sure() -> None:
    before, sure, unsure = p(0.98, 0.01, 0.01), p(0.1, 0.8, 0.1), p(0.3, 0.36, 0.34)
    assert decide(before, {"early_removed": sure, "away_crop": sure}, CONFIG).index == 1
    assert decide(before, {"early_removed": sure}, CONFIG).index == 0, "one view is not enough"
    assert decide(before, {"early_removed": sure, "away_crop": p(0.5, 0.4, 0.1)}, CONFIG).index == 0
    assert decide(before, {"early_removed": unsure, "away_crop": unsure}, CONFIG).index == 0
    assert "beside it" in decide(before, {"early_removed": sure, "away_crop": sure}, CONFIG).reason


def test_an_unsure_picture_gets_a_closer_look_where_the_box_is_known_as_well() -> None:
    views = {"early_inside": p(0.55, 0.45), "box_crop": p(0.4, 0.6), "mask_crop": p(0.1, 0.9), "wide_crop": p(0.3, 0.7)}
    assert decide(p(0.6, 0.4), views, CONFIG).index == 1
    assert decide(p(0.6, 0.4), views | {"wide_crop": p(0.7, 0.3)}, CONFIG).index == 0
    assert decide(p(0.6, 0.4), views | {"box_crop": p(0.6, 0.4)}, CONFIG).index == 0, "the box's crop counts as well"


def test_where_the_box_is_known_its_views_decide_alone() -> None:
    sure = p(0.1, 0.9)
    views = {"early_inside": p(0.9, 0.1), "box_crop": p(0.9, 0.1), "early_removed": sure, "away_crop": sure}
    assert decide(p(0.9, 0.1), views, CONFIG).index == 0


def test_a_name_that_is_impossible_to_one_view_raises_no_error_and_no_nan() -> None:
    decision = decide(p(0.8, 0.2, 0.0), {"mask_crop": p(0.0, 0.0, 1.0), "wide_crop": p(0.0, 1.0, 0.0)}, CONFIG)
    assert decision.index == 0
    assert 0 <= decision.probability <= 1


def test_views_of_the_old_evidence_decide_nothing() -> None:
    assert decide(p(0.6, 0.4), {"early_blur": p(0.0, 1.0), "late": p(0.0, 1.0)}, CONFIG).index == 0


def test_another_name_needs_both_views() -> None:
    before, sure = p(0.9, 0.1), p(0.2, 0.8)
    assert decide(before, {"early_inside": sure, "box_crop": sure}, CONFIG).index == 1
    assert decide(before, {"early_inside": sure, "box_crop": p(0.6, 0.4)}, CONFIG).index == 0
    assert decide(before, {"early_inside": p(0.6, 0.4), "box_crop": sure}, CONFIG).index == 0
    assert decide(before, {"early_inside": sure}, CONFIG).index == 1, "without a crop the first view decides alone"


@pytest.mark.parametrize(
    ("crop", "tight", "pooled", "index"),
    [
        ((0.04, 0.96), (0.02, 0.98), (0.4, 0.6), 1),
        ((0.06, 0.94), (0.06, 0.94), (0.01, 0.99), 0),
        ((0.01, 0.99), (0.01, 0.99), (0.6, 0.4), 0),
        ((0.6, 0.4), (1e-4, 0.9999), (0.01, 0.99), 0),
        ((1e-4, 0.9999), (0.6, 0.4), (0.01, 0.99), 0),
    ],
    ids=[
        "the features need not be sure",
        "the crops must be sure",
        "features disagree",
        "crop disagrees",
        "tight crop disagrees",
    ],
)
def test_the_animal_alone_overrules_surroundings_that_no_mask_shows(
    crop: tuple[float, float], tight: tuple[float, float], pooled: tuple[float, float], index: int
) -> None:
    alone = {"box_crop": p(*crop), "tight_crop": p(*tight), "late_box": p(*pooled)}
    inside = {"early_inside": p(0.99, 0.01)}
    assert decide(p(0.99, 0.01), inside | alone, CONFIG).index == index
    for left_out in alone:
        views = inside | {name: view for name, view in alone.items() if name != left_out}
        assert decide(p(0.99, 0.01), views, CONFIG).index == 0, f"all three are needed, not without {left_out}"


@pytest.mark.parametrize(("threshold", "flips"), [(0.0, True), (0.7, True), (0.97, False)])
def test_unknown_is_given_no_name_that_would_be_called_unknown_itself(threshold: float, flips: bool) -> None:
    """The picture is sure of its name by .6, its closer views together of another one by .95 and less."""
    rows = [
        (View(torch.zeros(3, 4, 4)), p(0.05, 0.95)),
        (View(torch.zeros(3, 4, 4)), p(0.1, 0.9)),
    ]
    config = ReclassifyConfig(strategies=("mask_crop", "wide_crop"))
    fused = _fused([_outcomes(p(0.6, 0.4), rows, config, is_located=True)], config, threshold, needs_two=False)
    assert fused.is_flip is flips
    assert flips or "less sure" in fused.reason


@pytest.mark.parametrize(
    ("views", "near", "plain", "clear"),
    [
        # 2.8, 4.6 and 9 times as probable as the old one in each of two views, where 2.6, 4 and 6.1 times is needed.
        ({"early_inside": p(0.1, 0.9), "box_crop": p(0.26, 0.74)}, 1, 0, 0),
        ({"early_inside": p(0.1, 0.9), "box_crop": p(0.18, 0.82)}, 1, 1, 0),
        ({"early_inside": p(0.1, 0.9), "box_crop": p(0.1, 0.9)}, 1, 1, 1),
        # Together sure by .56, .64 and .70, where .53, .6 and .67 is needed.
        ({"early_removed": p(0.08, 0.56, 0.36), "away_crop": p(0.08, 0.56, 0.36)}, 1, 0, 0),
        ({"early_removed": p(0.06, 0.64, 0.3), "away_crop": p(0.06, 0.64, 0.3)}, 1, 1, 0),
        ({"early_removed": p(0.02, 0.7, 0.28), "away_crop": p(0.02, 0.7, 0.28)}, 1, 1, 1),
    ],
)
def test_strictness_asks_whether_another_name_is_near_its_limits_or_clear_of_them(
    views: dict[str, Tensor], near: int, plain: int, clear: int
) -> None:
    n = len(next(iter(views.values())))
    original = p(0.99, 0.01) if n == 2 else p(0.99, 0.005, 0.005)
    found = [decide(original, views, CONFIG, strictness).index for strictness in (NEAR, 1.0, CLEAR)]
    assert found == [near, plain, clear]


def test_the_views_of_several_masks_are_their_mean_log_probability() -> None:
    one = {"mask_crop": p(0.2, 0.8), "wide_crop": p(0.5, 0.5)}
    other = {"mask_crop": p(0.8, 0.2)}
    assert torch.equal(views_together([one])["mask_crop"], one["mask_crop"])
    both = views_together([one, other])
    assert both["mask_crop"].tolist() == pytest.approx([0.5, 0.5])
    assert both["wide_crop"].tolist() == pytest.approx([0.5, 0.5]), "half of the masks have it"
    assert "wide_crop" not in views_together([one, other, other])

"""Boxes from masks: what they hold, how they grow, where the control lies."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.masks.crops import grow_box
from scd_core.reclassify.crops import away_box, central_box, evidence_box


def test_the_box_of_a_blob_is_the_blob() -> None:
    mask = np.zeros((40, 60))
    mask[10:20, 30:45] = 1
    assert evidence_box(mask, 0.999) == pytest.approx((0.5, 0.25, 0.25, 0.25))


@pytest.mark.parametrize("mass", [0.5, 0.8, 0.95])
def test_the_box_holds_its_share_and_is_minimal(mass: float) -> None:
    mask = np.random.default_rng(1).random((30, 30)) ** 8
    x, y, width, height = (round(30 * value) for value in evidence_box(mask, mass))
    part = mask[y : y + height, x : x + width]
    assert part.sum() >= mass * mask.sum()
    for smaller in (part[1:], part[:-1], part[:, 1:], part[:, :-1]):
        assert smaller.sum() < mass * mask.sum()


def test_an_empty_mask_means_the_whole_picture() -> None:
    assert evidence_box(np.zeros((5, 5)), 0.8) == (0, 0, 1, 1)


def test_a_box_grows_to_its_aspect_and_stays_inside() -> None:
    x, y, width, height = grow_box((0.9, 0.4, 0.1, 0.2), 0.1, aspect=1.0)
    assert (width, height) == pytest.approx((0.24, 0.24))
    assert x + width == pytest.approx(1.0)
    assert y >= 0


def test_the_control_has_the_crops_size_in_the_middle() -> None:
    assert central_box((0.1, 0.0, 0.4, 0.2)) == pytest.approx((0.3, 0.4, 0.4, 0.2))


def test_the_crop_beside_the_evidence_leaves_it_out_and_lies_near_the_middle() -> None:
    mask = np.zeros((60, 80))
    mask[20:50, 2:20] = 1
    x, y, width, height = away_box(mask, 0.7, 0.1)
    assert (width, height) == pytest.approx((0.7, 0.7))
    # No further from the middle than the evidence asks for: to the side only, until one of its 18 columns is left.
    assert y == pytest.approx(0.15, abs=1 / 60)
    assert x == pytest.approx(19 / 80)


def test_the_crop_beside_evidence_in_the_middle_holds_least_of_it() -> None:
    mask = np.zeros((60, 80))
    mask[25:35, 30:50] = 1
    mask[30, 40] = 9
    x, y, width, height = away_box(mask, 0.7, 0.1)
    held = mask[round(y * 60) : round((y + height) * 60), round(x * 80) : round((x + width) * 80)].sum()
    every = [mask[top : top + 42, left : left + 56].sum() for top in range(19) for left in range(25)]
    assert held == pytest.approx(min(every))


@pytest.mark.parametrize("value", [0.0, 1.0, np.nan])
def test_a_mask_that_says_nothing_gives_a_crop_inside_the_picture(value: float) -> None:
    x, y, width, height = away_box(np.full((7, 9), value), 0.7, 0.1)
    assert x >= 0 <= y
    assert x + width <= 1.000001 >= y + height

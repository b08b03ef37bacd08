"""The frontier of suggestions: counts by hand, and rules on a made set in which it is known who is right."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.real.frontier import RULES, Named, chosen_limits, count_at
from scd_core.reclassify.decision import ALONE


def made(whole: list[list[float]], crop: list[list[float]], true: list[int], cameras: str, home: list[int]) -> Named:
    logs = np.log(np.array(crop))
    views = {"whole": np.log(np.array(whole))} | dict.fromkeys(ALONE, logs)
    photographs = np.array([f"{number:04}" for number in range(len(true))])
    return Named(views, np.array(true), np.array(home), np.array(list(cameras)), photographs)


@pytest.fixture
def lured() -> Named:
    """Camera A: everything is called 0 there, crops lean to 0 as well; 1 and 2 are truly two of the four."""
    whole = [[0.9, 0.05, 0.05]] * 4
    crop = [[0.8, 0.1, 0.1], [0.8, 0.1, 0.1], [0.55, 0.4, 0.05], [0.55, 0.05, 0.4]]
    return made(whole, crop, [0, 0, 1, 2], "AAAA", [0] * 4)


def test_the_longest_list_of_a_precision_is_counted():
    """Eight suggestions: right, right, right, right, wrong (a right name), right, wrong, wrong."""
    one = made([[0.9, 0.1]] * 8, [[0.5, 0.5]] * 8, [1, 1, 1, 1, 0, 1, 0, 0], "A" * 8, [0] * 8)
    found = [(np.ones(8, dtype=np.int64), -np.arange(8.0))]
    assert count_at([one], found, 0.8) == {
        "place_errors": 5, "corrected": 5, "suggested": 6, "suggested_right": 5, "right": 3, "broken": 1,
    }  # fmt: skip
    assert count_at([one], found, 0.0)["suggested"] == 8
    nothing = [(np.ones(8, dtype=np.int64), np.full(8, -np.inf))]
    assert count_at([one], nothing, 0.8)["suggested"] == 0


def test_the_share_of_a_camera_finds_what_the_crops_alone_do_not(lured: Named):
    name, score = RULES["fixed"](lured)
    assert np.isinf(score).all()
    name, score = RULES["camera_share"](lured)
    assert np.isfinite(score).tolist() == [False, False, True, True]
    assert name[2:].tolist() == [1, 2]


def test_a_name_is_taken_out_only_where_two_others_were_called_so(lured: Named):
    one = made([[0.9, 0.05, 0.05]] * 3, [[0.2, 0.7, 0.1]] * 3, [1, 1, 2], "AAA", [0] * 3)
    _, score = RULES["taken_out"](one)
    assert np.isfinite(score).tolist() == [True, True, False]
    _, score = RULES["taken_out"](lured)
    assert np.isinf(score).all(), "the crop must put the new name first"


def test_fitted_weights_learn_from_other_cameras_which_view_knows():
    rng = np.random.default_rng(0)
    true = rng.integers(0, 3, 90)
    crop = np.full((90, 3), 0.1)
    crop[np.arange(90), true] = 0.8
    whole = np.full((90, 3), 0.1)
    whole[np.arange(90), rng.integers(0, 3, 90)] = 0.8
    one = made(whole.tolist(), crop.tolist(), true.tolist(), "ABC" * 30, [0] * 90)
    for rule in ("fitted", "fitted_share"):
        name, score = RULES[rule](one)
        assert (name == true).all()
        assert (np.isfinite(score) == (one.called != true)).all()


def test_a_limit_is_chosen_by_the_labels_of_the_other_cameras():
    """Eleven right suggestions of eleven are enough for .8 with 90 % (.8 ** 11 = .086), ten are not (.107)."""
    for n, expected in ((11, 1), (10, 0)):
        true = [1] * n + [1]
        one = made([[0.9, 0.1]] * (n + 1), [[0.5, 0.5]] * (n + 1), true, "A" * n + "B", [0] * (n + 1))
        _, score = chosen_limits(one, (np.ones(n + 1, dtype=np.int64), np.full(n + 1, np.log(0.99))))
        assert np.isfinite(score[-1]) == expected
    one = made([[0.9, 0.1]] * 13, [[0.5, 0.5]] * 13, [1] * 8 + [0] * 4 + [1], "A" * 12 + "B", [0] * 13)
    _, score = chosen_limits(one, (np.ones(13, dtype=np.int64), np.full(13, np.log(0.99))))
    assert np.isinf(score).all(), "eight right of twelve show nothing"

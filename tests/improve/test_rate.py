"""Rates of visits and their intervals: by hand, and by how often simulated ones hold the truth."""

from __future__ import annotations

import numpy as np
import pytest

from scd_core.audit.slices.statistics import wilson_interval
from scd_core.improve.rate import gain_of, rate_of
from scd_core.improve.ways import Evidence, Way, find_best, judge
from scd_core.names import HeadKind, View


def test_pictures_of_a_visit_count_as_one():
    right = np.array([True] * 50 + [False, True, False])
    rate = rate_of(right, np.array([0] * 50 + [1, 2, 3]), np.array([0] * 50 + [1, 2, 3]))
    assert (rate.value, rate.n) == (0.5, 4)


def test_independent_visits_have_wilsons_interval():
    right = np.arange(100) % 4 > 0
    rate = rate_of(right, np.arange(100), np.arange(100))
    low, high = wilson_interval(0.75, 100)
    assert rate.low == pytest.approx(float(low), abs=0.01) and rate.high == pytest.approx(float(high), abs=0.01)


def test_visits_of_one_animal_at_one_camera_are_worth_less_where_they_are_alike():
    right = np.repeat([True, False, True, True, False], 20)
    alike = rate_of(right, np.arange(100), np.repeat(np.arange(5), 20))
    apart = rate_of(right, np.arange(100), np.arange(100))
    assert alike.high - alike.low > 2 * (apart.high - apart.low)


def test_the_interval_holds_the_truth_where_cells_differ():
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(400):
        cell = np.repeat(np.arange(25), rng.integers(1, 9, 25))
        chance = rng.beta(4, 1.5, 25)[cell]  # mean 4 / 5.5
        rate = rate_of(rng.random(len(cell)) < chance, np.arange(len(cell)), cell)
        held += rate.low <= 4 / 5.5 <= rate.high
    assert held >= 0.9 * 400


def test_like_pictures_at_several_cameras_count_as_one():
    right, group = np.array([True, True, True, False]), np.array([0, 0, 0, 1])
    rate = rate_of(right, group, np.arange(4))
    assert (rate.value, rate.n) == (0.5, 2)


def test_intervals_are_wider_where_one_of_several_ways_is_chosen():
    right, place = np.arange(60) % 4 > 0, np.arange(60)
    one, of_six = rate_of(right, place, place), rate_of(right, place, place, 1 - 0.05 / 6)
    low, _ = wilson_interval(0.75, 60, 1 - 0.05 / 6)
    assert of_six.low == pytest.approx(float(low), abs=0.01) and of_six.high - of_six.low > 1.2 * (one.high - one.low)


def test_nothing_to_judge_by():
    empty = np.zeros(0, int)
    assert rate_of(empty.astype(bool), empty, empty).n == 0
    assert gain_of(empty.astype(bool), empty.astype(bool), empty, empty).low == -1


def test_a_gain_of_a_few_visits_is_not_beyond_chance():
    before, visit = np.zeros(30, bool), np.arange(30)
    few, many = np.arange(30) < 2, np.arange(30) < 20
    assert gain_of(before, few, visit, visit).low < 0 < gain_of(before, many, visit, visit).low


def outcome(before: float, after: float, home_before: float, home_after: float, way: Way):
    n = 400
    place = np.arange(n)
    evidence = Evidence(place < 200, place >= 200, place, place // 4, place % 8, place % 7)

    def right(share: float) -> np.ndarray:
        return (place * 7919 % 100) / 100 < share

    return judge(way, (right(after), right(home_after)), (right(before), right(home_before)), evidence, 0.0, "")


CROPS = Way(View.BOX_CROP, HeadKind.LOGISTIC)


@pytest.mark.parametrize(
    ("shares", "is_better"),
    [
        ((0.3, 0.8, 0.95, 0.95), True),
        ((0.3, 0.8, 0.95, 0.93), True),
        ((0.3, 0.8, 0.95, 0.85), False),
        ((0.8, 0.3, 0.95, 0.95), False),
        ((0.5, 0.51, 0.9, 0.9), False),
        ((0.5, 0.5, 0.9, 0.9), False),
    ],
)
def test_only_what_is_better_beyond_chance_and_as_good_at_home_is_recommended(shares, is_better):
    found = outcome(*shares, CROPS)
    assert found.is_better == is_better
    assert find_best([found]) is (found if is_better else None)


def test_what_no_run_can_do_is_not_recommended():
    assert find_best([outcome(0.3, 0.8, 0.9, 0.9, Way(View.POOLED))]) is None
    assert find_best([outcome(0.3, 0.8, 0.9, 0.9, Way(View.BLURRED, HeadKind.LOGISTIC))]) is None


def test_the_worst_camera_has_visits_enough_to_be_called_so():
    place = np.arange(43)
    camera = np.array([0] * 20 + [1] * 20 + [2] * 3)
    right = np.array([True] * 20 + [True] * 10 + [False] * 10 + [False] * 3)
    evidence = Evidence(place >= 0, place < 0, place, place, np.zeros(43, int), camera)
    found = judge(CROPS, (right, right), (right, right), evidence, 0.0, "")
    assert found.worst_camera is not None and found.worst_camera[0] == 1 and found.worst_camera[1].value == 0.5

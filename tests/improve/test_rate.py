"""Rates of visits and their intervals: by hand, and by how often simulated ones hold the truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scd_core.audit.slices.statistics import wilson_interval
from scd_core.improve.choice import expected_of, find_best
from scd_core.improve.names import HeadKind, Preference, View
from scd_core.improve.rate import gain_of, rate_of
from scd_core.improve.ways import Evidence, Way, held_by, judge, known_by_place


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
    evidence = Evidence(place < 200, place >= 200, place >= 300, place, place // 4, place % 8, place % 7)

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
    evidence = Evidence(place >= 0, place < 0, place < 0, place, place, np.zeros(43, int), camera)
    found = judge(CROPS, (right, right), (right, right), evidence, 0.0, "")
    assert found.worst_camera is not None and found.worst_camera[0] == 1 and found.worst_camera[1].value == 0.5


def test_a_model_is_at_home_where_its_other_names_are_right():
    # Individual-camera pairs 0 (mostly right), 1 (mostly wrong), 2 (seen once) and 3 (not learnt at this camera).
    before = np.array([1, 1, 1, 0, 1, 0, 0, 1, 1, 1], bool)
    cell = np.array([0, 0, 0, 0, 1, 1, 1, 2, 3, 3])
    held = held_by(before, cell < 3, np.arange(10), cell)
    assert held.tolist() == [True] * 4 + [False] * 6


def test_a_lucky_name_does_not_make_a_home():
    before, cell = np.array([1, 0, 0], bool), np.zeros(3, int)
    assert not held_by(before, np.ones(3, bool), np.arange(3), cell).any()


def test_what_keeps_the_home_is_recommended_where_it_gains_nearly_as_much():
    def way(gain: float, margin: float | None, keep: float):
        return replace(
            outcome(0.3, 0.3 + gain, 0.95, 0.95, Way(View.BOX_CROP, HeadKind.LOGISTIC, keep)), home_margin=margin
        )

    most, safe, safest = way(0.6, 1.0, 0.0), way(0.55, 2.0, 0.3), way(0.4, 3.0, 1.2)
    assert find_best([most, safe, safest]) is safe
    assert find_best([most, safe, safest], Preference.NEW_PLACES) is most
    unknown = [replace(one, home_margin=None) for one in (most, safe, safest)]
    assert find_best(unknown) is unknown[0]


def test_a_loss_where_the_model_is_at_home_is_not_hidden_by_gains_elsewhere():
    place = np.arange(400)
    evidence = Evidence(place < 200, place >= 200, place >= 300, place, place // 4, place % 8, place % 7)
    before = (place % 10 < 3) | (place >= 300)
    after = np.where(place >= 300, place % 10 > 0, place % 10 < 9)
    found = judge(CROPS, (after, after), (before, before), evidence, 0.0, "")
    assert found.home_gain.value > 0.2 and found.home_loss == pytest.approx(0.1)
    assert found.is_gain and not found.is_better


def test_the_best_of_many_equal_ways_is_expected_to_be_no_better_than_they_are():
    """Forty ways that are right by the same chance: the best looks better than it is, and what is expected of it does not."""
    rng = np.random.default_rng(1)
    seen, expected = [], []
    place = np.arange(60)
    evidence = Evidence(place >= 0, place < 0, place < 0, place, place, place % 8, place % 9)
    before = np.zeros(60, bool)
    for _ in range(12):
        ways = [Way(View.BOX_CROP)] + [Way(View.BOX_CROP, HeadKind.LOGISTIC, float(number)) for number in range(1, 41)]
        rights = {one.key: before if one.head is None else rng.random(60) < 0.6 for one in ways}
        outcomes = [judge(one, (rights[one.key],) * 2, (before, before), evidence, 0.0, "") for one in ways]
        best = find_best(outcomes, Preference.NEW_PLACES)
        assert best is not None
        seen.append(best.new.value)
        rate = expected_of(best, outcomes, rights, evidence, Preference.NEW_PLACES)
        expected.append(rate.value)
        assert rate.low < rate.value < rate.high
    assert np.mean(seen) > 0.7 and abs(np.mean(expected) - 0.6) < 0.04


def test_cameras_that_differ_widen_the_interval():
    right = np.repeat([True, False, True, True, False], 20)
    visit, camera = np.arange(100), np.repeat(np.arange(5), 20)
    with_cameras = rate_of(right, visit, visit, camera=camera)
    without = rate_of(right, visit, visit)
    assert with_cameras.high - with_cameras.low > 2 * (without.high - without.low)


def world_of(rng: np.random.Generator, at_home: float, elsewhere: float) -> tuple[np.ndarray, ...]:
    """Names of a model of 9 individuals, 12 pictures each: 5 at their own camera, 7 at others; with truth, cell and that home."""
    truth = np.repeat(np.arange(9), 12)
    is_home = np.arange(108) % 12 < 5
    camera = np.where(is_home, truth, (truth + rng.integers(1, 9, 108)) % 9)
    before = rng.random(108) < np.where(is_home, at_home, elsewhere)
    return before, truth, truth * 9 + camera, is_home


def test_where_a_model_knows_an_individual_by_its_place_is_no_new_place():
    rng = np.random.default_rng(0)
    left = []
    for _ in range(200):
        before, truth, cell, is_home = world_of(rng, 0.95, 0.15)
        known = known_by_place(before, truth, np.arange(108), cell)
        assert known[is_home].mean() > 0.7
        left.append(before[~known].mean())
    assert np.mean(left) < 0.22  # of all pictures it names .48 rightly


@pytest.mark.parametrize("share", [0.2, 0.5, 0.7, 0.95])
def test_a_model_that_knows_animals_everywhere_is_judged_as_it_is(share):
    """A target's own name has no part in whether it counts, so chance alone makes no model worse."""
    rng = np.random.default_rng(1)
    left = []
    for _ in range(300):
        before, truth, cell, _ = world_of(rng, share, share)
        left.append(before[~known_by_place(before, truth, np.arange(108), cell)].mean())
    assert np.mean(left) == pytest.approx(share, abs=0.02)


def test_an_individual_of_one_picture_at_a_camera_is_known_nowhere():
    assert not known_by_place(np.ones(4, bool), np.zeros(4, int), np.arange(4), np.arange(4)).any()

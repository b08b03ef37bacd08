"""Certificates: how many labels they need, how seldom they are wrong, and what is never certified."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from scd_core.reclassify.certificate import LEVELS, certify, log_evidence

KEPT = float("nan")


def names(n: int, *broken: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Right names that stay, and some broken by suggestions of these probabilities; all weigh the same."""
    probability = np.array([KEPT] * n + list(broken))
    return probability, np.ones(len(probability))


def test_without_labels_nothing_is_certified_and_as_many_are_needed_as_a_fair_bet_takes() -> None:
    found = certify(*names(0), max_broken=0.01, certain=0.9)
    # Half of the stake is on the bet that multiplies by 1 / .99: (1/2) .99^-n + (1/2) (.998 / .99)^n >= 10.
    n = next(n for n in range(1, 1000) if 0.99**-n / 2 + (0.998 / 0.99) ** n / 2 >= 10)
    assert (found.min_probability, found.n_labels, found.n_needed) == (None, 0, n)
    assert n > math.log(0.1) / math.log(0.99), "the exact binomial test of a fixed number needs fewer"


def test_with_the_labels_that_were_said_to_be_needed_it_is_certified() -> None:
    for n, broken in ((0, ()), (100, ()), (250, (0.995,)), (40, (0.999, 0.992))):
        needed = certify(*names(n, *broken), max_broken=0.01, certain=0.9).n_needed
        assert needed is not None
        assert certify(*names(n + needed, *broken), max_broken=0.01, certain=0.9).min_probability is not None
        assert certify(*names(n + needed - 1, *broken), max_broken=0.01, certain=0.9).min_probability is None


@pytest.mark.parametrize(("n", "broken", "level"), [(400, (), 0.0), (400, (0.7,), 0.8), (400, (0.7, 0.97), 0.99)])
def test_the_level_is_the_lowest_that_breaks_too_little_to_matter(
    n: int, broken: tuple[float, ...], level: float
) -> None:
    assert certify(*names(n, *broken), max_broken=0.01, certain=0.9).min_probability == level


def test_a_strict_level_that_fails_is_not_made_good_by_a_lower_one() -> None:
    found = certify(*names(300, 0.999), max_broken=0.01, certain=0.9)
    assert found.min_probability is None
    assert found.n_broken == 1


def test_equal_weights_give_the_likelihood_ratio() -> None:
    broken = np.array([True] * 2 + [False] * 500)
    found = math.exp(log_evidence(broken, np.ones(502), 0.01))
    ratio = stats.binom.pmf(2, 502, 0.002) / stats.binom.pmf(2, 502, 0.01)
    assert found == pytest.approx(ratio / 2)  # the bet on "never" has lost its half


@pytest.mark.parametrize("weighted", [False, True])
def test_a_rule_that_breaks_too_much_is_certified_at_any_of_many_looks_in_one_case_of_ten_at_most(
    weighted: bool,
) -> None:
    """1 % of right names are broken, or a little more; the labels are looked at after every 50, up to 1500.

    Weighted: half of the names, of which 1.8 % are broken, are labelled a fifth as often as the others, of which .2 % are.
    """
    rng = np.random.default_rng(5)
    wrong = unweighted = 0
    for _ in range(300):
        rare = rng.random(1500) < (1 / 6 if weighted else 0)
        broken = rng.random(1500) < (np.where(rare, 0.018, 0.002) if weighted else 0.01)
        weights = np.where(rare, 5.0, 1.0)
        looks = range(50, 1501, 50)
        wrong += any(log_evidence(broken[:n], weights[:n], 0.01) >= math.log(10) for n in looks)
        unweighted += any(log_evidence(broken[:n], np.ones(n), 0.01) >= math.log(10) for n in looks)
    assert stats.binomtest(wrong, 300, 0.1, alternative="greater").pvalue > 0.01
    if weighted:
        assert unweighted > 90, "as if all were drawn alike, it is certified far too often"


def test_a_rule_that_breaks_little_is_certified_on_the_labels_of_a_season() -> None:
    rng = np.random.default_rng(6)
    certified = [
        certify(np.where(rng.random(900) < 0.001, 0.999, KEPT), np.ones(900), 0.01, 0.9).min_probability is not None
        for _ in range(100)
    ]
    assert sum(certified) > 80


def test_levels_go_from_the_strictest_to_all() -> None:
    assert list(LEVELS) == sorted(LEVELS, reverse=True)
    assert LEVELS[-1] == 0

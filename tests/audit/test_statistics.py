"""The audit's statistics against textbooks, scipy and simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from scd_core.audit.slices.statistics import (
    LEVELS,
    benjamini_hochberg,
    n_expected,
    n_expected_together,
    rate_excess_p_value,
    wilson_interval,
)


@given(n=st.integers(1, 500), share=st.floats(0, 1), confidence=st.sampled_from([0.8, 0.95, 0.99]))
def test_wilson_is_scipys(n, share, confidence):
    x = round(share * n)
    expected = stats.binomtest(x, n).proportion_ci(confidence, method="wilson")
    low, high = wilson_interval(x / n, n, confidence)
    assert (float(low), float(high)) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_wilson_without_events_knows_nothing():
    low, high = wilson_interval([0.0, 0.5], [0, 1e-9])
    assert low.tolist() == pytest.approx([0, 0], abs=1e-6)
    assert high[1] == pytest.approx(1, abs=1e-6)


@given(n=st.integers(1, 200), n0=st.integers(1, 5000), a=st.floats(0, 1), b=st.floats(0, 1))
def test_the_comparison_is_fishers_on_whole_counts(n, n0, a, b):
    x, x0 = round(a * n), round(b * n0)
    expected = stats.hypergeom.sf(x - 1, n + n0, x + x0, n)
    assert float(rate_excess_p_value(x, n, x0, n0)) == pytest.approx(float(expected), rel=1e-6, abs=1e-12)


def test_the_comparison_at_its_ends():
    p = rate_excess_p_value([0, 5, 5, 5, 0], [5, 5, 5, 0, 0], [1, 0, 10, 1, 0], [10, 1000, 10, 10, 0])
    assert p[0] == 1  # no error
    assert p[1] < 1e-10  # all wrong against none of 1000
    assert p[2:].tolist() == [1, 1, 1]  # a baseline that always errs, no events, nothing at all


def test_the_comparison_lies_between_its_whole_neighbours():
    p = rate_excess_p_value([3, 3.5, 4], [10, 10, 10], 5, 100)
    assert p[0] > p[1] > p[2]


@given(st.lists(st.floats(1e-9, 1), min_size=1, max_size=40))
def test_hochberg_is_scipys(p_values):
    assert benjamini_hochberg(p_values) == pytest.approx(stats.false_discovery_control(p_values))


@given(st.lists(st.floats(1e-9, 1), min_size=1, max_size=20), st.integers(0, 30))
def test_tests_that_are_not_listed_count_with_p_one(p_values, more):
    whole = stats.false_discovery_control(p_values + [1.0] * more)[: len(p_values)]
    assert benjamini_hochberg(p_values, len(p_values) + more) == pytest.approx(whole)


def test_hochberg_of_nothing():
    assert benjamini_hochberg([]).size == 0


@given(
    kinds=st.lists(
        st.tuples(st.integers(1, 60), st.integers(0, 60), st.integers(1, 300), st.integers(1, 5)), max_size=12
    ),
    powers=st.lists(st.floats(0, 7), min_size=1, max_size=12),
    least=st.integers(1, 3),
)
def test_the_expected_number_is_the_sum_of_the_sizes_that_fishers_test_has(kinds, powers, least):
    """Each hypothesis adds the largest p-value that it can have and that is not above p; one with large margins adds p."""
    p_values = [10**-power for power in powers]
    expected = np.zeros(len(powers))
    for n, x, more, many in kinds:
        of_all = n + x + more
        values = stats.hypergeom.sf(np.arange(least, min(n, x) + 1) - 1, of_all, x, n)
        for place, p in enumerate(p_values):
            attained = max(values[0.99 * values <= p], default=0.0)
            expected[place] += many * (p if min(n, x) > 40 else attained)
    margins = zip(*kinds, strict=True) if kinds else ([], [], [], [])
    n, x, more, many = (np.array(one, float) for one in margins)
    assert n_expected(p_values, n, x, n + x + more, many, least) == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_chance_is_no_more_often_as_small_as_expected():
    """20 slices of 6 visits, 9 errors at random among 120: on average no more p-values of at most p than that."""
    rng = np.random.default_rng(0)
    counted = np.zeros(3)
    levels = [0.01, 0.06, 0.3]
    for _ in range(2000):
        errors = np.bincount(rng.permutation(120)[:9] // 6, minlength=20)
        p = stats.hypergeom.sf(errors - 1, 120, 9, 6)
        counted += [(p <= level).sum() for level in levels]
    expected = n_expected(levels, [6], [9], [120], [20])
    assert counted / 2000 == pytest.approx(expected, rel=0.1)
    assert (expected < np.array(levels) * 20).all()


def test_chance_puts_no_more_slices_of_several_families_so_far_up_than_expected_together():
    """20 slices of 6 visits and 3 of 40, 9 errors at random among 120: fewer than where each family were held to its share."""
    rng = np.random.default_rng(0)
    shares = np.array([0.3, 0.7])
    by_level = np.stack([n_expected(LEVELS, [n], [9], [120], [m]) for n, m in ((6, 20), (40, 3))])
    # Of 1 to 9 errors; a slice without one is no hypothesis that can be listed.
    p_values = np.concatenate([stats.hypergeom.sf(np.arange(9), 120, 9, n) for n in (6, 40)]).clip(max=1)
    of = np.repeat([0, 1], 9)
    expected = n_expected_together(p_values, of, by_level, shares)
    at = by_level[of, np.searchsorted(LEVELS, p_values)] / shares[of]
    assert (expected <= 1.001 * at).all() and (expected[:4] < 0.8 * at[:4]).any()
    scores = np.concatenate([[np.inf], at[:9]]), np.concatenate([[np.inf], at[9:]])
    counted = np.zeros(18)
    for _ in range(3000):
        errors = rng.permutation(120)[:9]
        seen = scores[0][np.bincount(errors // 6, minlength=20)], scores[1][np.bincount(errors // 40, minlength=3)]
        counted += (np.concatenate(seen)[:, None] <= 1.001 * at).sum(0)
    assert counted / 3000 == pytest.approx(expected, rel=0.1, abs=0.02)


def test_one_family_alone_expects_together_what_it_expects():
    margins = [5, 9], [8, 8], [60, 90], [10, 3]
    by_level = n_expected(LEVELS, *margins)
    p_values = stats.hypergeom.sf([0, 1, 2, 3], 90, 8, 9)
    together = n_expected_together(p_values, [0] * 4, by_level[None], [1.0])
    assert together == pytest.approx(n_expected(p_values, *margins), rel=0.01)
    assert n_expected_together([], [], by_level[None], [1.0]).size == 0


def test_no_hypothesis_is_none():
    assert n_expected([0.01, 1.0], [], [], [], []).tolist() == [0, 0]
    assert n_expected([], [5], [3], [20], [1]).size == 0


def test_whole_counts_have_fishers_p_value_whichever_side_is_larger():
    """Exactly where the chances are summed; nearly, where the counts are not whole, also of a slice larger than the others."""
    rng = np.random.default_rng(7)
    n, n0 = (np.rint(np.exp(rng.uniform(0, top, 4000))) for top in (12, 15))
    x, x0 = np.rint(n * rng.beta(0.3, 8, n.size)), np.rint(n0 * rng.beta(0.3, 30, n.size))
    usable = (x > 0) & (x0 < n0)
    n, n0, x, x0 = (one[usable] for one in (n, n0, x, x0))
    expected = stats.hypergeom.sf(x - 1, n + n0, x + x0, n)
    likely = expected > 1e-100
    assert rate_excess_p_value(x, n, x0, n0)[likely] == pytest.approx(expected[likely], rel=1e-6)
    nearly = rate_excess_p_value(x, n + 1e-7, x0, n0 + 1e-7)
    assert (n > 5 * n0).sum() > 500
    assert nearly[expected > 1e-12] == pytest.approx(expected[expected > 1e-12], rel=1e-4)

"""The audit's statistics against textbooks, scipy and simulation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from scd_core.audit.slices.statistics import (
    benjamini_hochberg,
    least_p_value,
    n_testable,
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
    assert float(rate_excess_p_value(x, n, x0, n0)) == pytest.approx(float(expected), rel=5e-3, abs=1e-12)


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


@given(n=st.integers(1, 60), n0=st.integers(1, 300), x=st.integers(0, 200))
def test_the_least_p_value_is_fishers_with_all_errors_inside(n, n0, x):
    most = min(n, x)
    expected = stats.hypergeom.sf(most - 1, n + n0, min(x, n + n0), n) if x < n + n0 else 1.0
    assert float(least_p_value(n, min(x, n + n0), n + n0)) == pytest.approx(float(expected), rel=1e-6)


@given(least=st.lists(st.floats(1e-9, 1), min_size=1, max_size=40), level=st.floats(0.001, 0.2))
def test_tarones_number_is_the_smallest_that_its_hypotheses_fit_into(least, level):
    k = n_testable(least, level)
    fits = [one for one in range(1, len(least) + 1) if sum(p <= level / one for p in least) <= one]
    assert k == fits[0]
    assert n_testable(least, level, [1] * len(least)) == k


def test_no_hypothesis_is_none():
    assert n_testable([], 0.05) == 0

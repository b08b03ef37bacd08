"""The audit's statistics against textbooks, scipy and simulation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from scd_core.audit.slices.statistics import (
    benjamini_hochberg,
    count_excess_p_value,
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


@given(x=st.integers(1, 60), x0=st.integers(0, 200), n=st.floats(0.5, 500), n0=st.floats(1, 5000))
def test_the_comparison_of_counts_is_the_conditional_binomial_test(x, x0, n, n0):
    expected = stats.binomtest(x, x + x0, n / (n + n0), "greater").pvalue
    assert float(count_excess_p_value(x, n, x0, n0)) == pytest.approx(expected, rel=1e-9, abs=1e-300)


def test_the_comparison_of_counts_at_its_ends():
    p = count_excess_p_value([0, 5, 5, 2.5], [10, 10, 0, 10], [3, 3, 3, 3], [100, 0, 100, 100])
    assert p[:3].tolist() == [1, 1, 1]
    assert count_excess_p_value(2, 10, 3, 100) > p[3] > count_excess_p_value(3, 10, 3, 100)

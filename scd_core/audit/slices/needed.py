"""How many more labels settle a slice: until its test would pass, or until its rate is known well enough."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from scd_core.audit.slices.counts import Counts
from scd_core.audit.slices.statistics import rate_excess_p_value, wilson_interval
from scd_core.audit.slices.tested import TestedSlice
from scd_core.config import SliceConfig

__all__ = ["labels_to_measure", "labels_to_prove", "set_labels_needed"]

_MOST = 10_000
_PRIOR = 2
"""Visits that the baseline's rate counts for when a slice's rate is foretold."""
_LOOKED_AT = 200
"""Slices that are not systematic for which it is computed; the page shows fewer."""


def set_labels_needed(tested: Sequence[TestedSlice], counts: Mapping[str, Counts], config: SliceConfig) -> None:
    """Set `labels_needed` of the slices that no other one explains.

    A slice that is not systematic needs labels until its p-value is so small that Benjamini and Hochberg's procedure takes it as
    the next one after those that are systematic by now: ``max_q (k + 1) / n_tests``; the 200 nearest to that are looked at.
    A systematic one needs labels until its interval is at most 0.2 wide.

    Args:
        tested: the listed slices, judged and explained.
        counts: slice_id -> the counts that it was tested on.
        config: limits.
    """
    top = [one for one in tested if one.folded_into is None]
    n_systematic = Counter(one.tested_within for one in tested if one.is_systematic)
    unproved = [one for one in top if not one.is_systematic]
    unproved = sorted(unproved, key=lambda one: (one.p_value * one.n_tests, one.slice_id))[:_LOOKED_AT]
    if unproved:
        x, n, x0, n0 = (
            [float(getattr(counts[one.slice_id], name)[0]) for one in unproved]
            for name in ("errors", "n", "base_errors", "base_n")
        )
        levels = [config.max_q * (n_systematic[one.tested_within] + 1) / one.n_tests for one in unproved]
        _set(unproved, labels_to_prove(x, n, x0, n0, levels))
    proved = [one for one in top if one.is_systematic]
    effective = [one.n_effective for one in proved]
    n_visits = [max(one.exposure, one.n_events) if one.is_lower_bound else one.n_events for one in proved]
    _set(proved, labels_to_measure([one.error_rate for one in proved], effective, n_visits, config.confidence))


def _set(slices: Sequence[TestedSlice], needed: NDArray[np.float64]) -> None:
    for one, more in zip(slices, needed.tolist(), strict=True):
        one.labels_needed = None if np.isnan(more) else int(more)


def labels_to_prove(
    errors: ArrayLike, n: ArrayLike, base_errors: ArrayLike, base_n: ArrayLike, level: ArrayLike, power: float = 0.8
) -> NDArray[np.float64]:
    """Further labelled visits in a slice after which its test passes with some probability, if it goes on as it began.

    Slices are looked at because they began badly, so they are taken to go on at the seen rate drawn towards the baseline's, by
    two visits: ``r = (x + 2 x0 / n0) / (n + 2)``. With m more visits, and the baseline as it is, at least ``k`` of them err with
    probability `power`, k the (1 - power)-quantile of Binomial(m, r). The answer is the m at which the p-value of x + k errors
    among n + m visits falls to the level (bisection, to 2 %; up to the steps of whole errors the p-value falls with m).

    Args:
        errors: visits of the slice that err, x; any shape.
        n: visits of the slice, x <= n; need not be whole, as exposures are not.
        base_errors: visits elsewhere that err.
        base_n: visits elsewhere.
        level: p-value that the test must stay within, such as the false discovery rate over the number of tests, 0-1.
        power: probability of passing, 0-1.

    Returns:
        Whole numbers in the common shape: 0 where it passes now, NaN where 10 000 are not enough.

    >>> labels_to_prove(4, 10, 50, 1000, [0.01, 1e-6]).tolist()
    [0.0, 29.0]
    """
    arrays = np.broadcast_arrays(*(np.asarray(a, float) for a in (errors, n, base_errors, base_n, level)))
    x, n, x0, n0, limit = (a.ravel() for a in arrays)
    base_rate = np.divide(x0, n0, out=np.zeros(x.shape), where=n0 > 0)
    rate = (x + _PRIOR * base_rate) / (n + _PRIOR)

    def passes(more: NDArray[np.float64], at: NDArray[np.intp]) -> NDArray[np.bool_]:
        further = np.maximum(stats.binom.ppf(1 - power, more, rate[at]), 0)
        return rate_excess_p_value(x[at] + further, n[at] + more, x0[at], n0[at]) <= limit[at]

    every = np.arange(x.size)
    needed = np.full(x.shape, np.nan)
    needed[passes(np.zeros(x.size), every)] = 0
    open_ = every[np.isnan(needed)]
    open_ = open_[passes(np.full(open_.size, float(_MOST)), open_)]
    low, high = np.zeros(open_.size), np.full(open_.size, float(_MOST))
    while (is_wide := high - low > np.maximum(1, high / 50)).any():
        middle = np.floor((low + high) / 2)
        found = passes(middle[is_wide], open_[is_wide])
        low[is_wide] = np.where(found, low[is_wide], middle[is_wide])
        high[is_wide] = np.where(found, middle[is_wide], high[is_wide])
    needed[open_] = high
    return needed.reshape(arrays[0].shape)


def labels_to_measure(
    rate: ArrayLike, n_effective: ArrayLike, n: ArrayLike, confidence: float = 0.95, half_width: float = 0.1
) -> NDArray[np.float64]:
    """Further labelled visits in a slice after which Wilson's interval of its rate is narrow enough, at the seen rate.

    Args:
        rate: error rate of the slice, 0-1; any shape.
        n_effective: effective visits that it stands on, above 0.
        n: labelled visits; each further one counts as much as these did, ``n_effective / n``.
        confidence: level of the interval.
        half_width: half the width that the interval must stay below.

    Returns:
        Whole numbers in the common shape: 0 where it is narrow enough now, NaN where 10 000 are not enough.

    >>> labels_to_measure(0.5, [20, 200], [40, 200]).tolist()
    [145.0, 0.0]
    """
    p, effective, n = np.broadcast_arrays(*(np.asarray(a, float) for a in (rate, n_effective, n)))
    worth = np.divide(effective, n, out=np.zeros(p.shape), where=n > 0)

    def is_narrow(more: NDArray[np.float64]) -> NDArray[np.bool_]:
        low, high = wilson_interval(p, effective + more * worth, confidence)
        return np.asarray(high - low < 2 * half_width)

    low, high = np.full(p.shape, -1.0), np.full(p.shape, float(_MOST))
    for _ in range(int(np.ceil(np.log2(_MOST + 1)))):
        middle = np.floor((low + high) / 2)
        found = is_narrow(middle)
        low, high = np.where(found, low, middle), np.where(found, middle, high)
    return np.where(is_narrow(high), np.maximum(high, 0), np.nan)

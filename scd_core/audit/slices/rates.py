"""Rates of slices that are listed: Horvitz-Thompson's where controls are labelled, else the least that they can be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scd_core.audit.slices.cells import Sparse, family_slices
from scd_core.audit.slices.counts import Counts
from scd_core.audit.slices.data import SliceData, has_keys
from scd_core.audit.slices.statistics import wilson_interval

__all__ = ["SliceRate", "slice_rates"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_PRIOR = 2.0
"""Visits that the ordinary rate counts for when the rate of a slice's visits with or without a flag is estimated."""


@dataclass(frozen=True)
class SliceRate:
    """The rate of one slice; each field is the column of its name in ``error_slices``."""

    n_events: int
    n_images: int
    n_errors: int
    error_rate: float
    is_lower_bound: bool
    n_effective: float
    ci_low: float
    ci_high: float
    baseline_rate: float
    lift: float


def slice_rates(
    data: SliceData, family: tuple[str, ...], codes: Ints, counts: Counts, confidence: float
) -> list[SliceRate]:
    """The share of each slice's events that err, with Wilson's interval, and that of what the slice is compared with.

    Where a control of the slice is labelled, each labelled row stands for ``event_weight`` events, and visits are the
    independent proofs. The variance of the weighted rate ``p = sum(w y) / sum(w)`` over visits, linearised, is
    ``sum W^2 E(y - p)^2 / (sum W)^2``; the effective number is ``p (1 - p)`` over it (Korn and Graubard, Survey Methodology
    1998). ``E(y - p)^2 = q (1 - 2 p) + p^2`` with q the rate of visits that were flagged, or were not, drawn towards that of all
    by two visits, so that few controls without an error are not taken for faultless.

    Where none is, the rate is not known. What is known is that at least the errors that were seen are there, among the
    visits that were looked at: ``is_lower_bound``, and the rates are errors per visit of `counts`.

    Args:
        data: the visits.
        family: keys of the slices.
        codes: (g, k) of their values.
        counts: what they were found by.
        confidence: level of the intervals, 0-1.

    Returns:
        g rates.
    """
    visits = _Visits(data, family, codes)
    # A visit that a queue of the review led to is of no weight, so it says nothing of the rate.
    is_control = (data.has_control & (data.weight > 0)).astype(np.float64)
    is_lower_bound = visits.all(is_control) == 0
    rate, n = _weighted(data, visits)
    base_rate = _base_rate(data, visits, counts)
    rate, n, base_rate = (
        np.where(is_lower_bound, seen, weighted)
        for seen, weighted in ((counts.rate, rate), (counts.n, n), (counts.base_rate, base_rate))
    )
    low, high = wilson_interval(rate, n, confidence)
    one = np.ones(data.n_visits)
    columns: dict[str, list[Any]] = {
        "n_events": visits.all(one).astype(int).tolist(),
        "n_images": visits.all(data.n_images).astype(int).tolist(),
        "n_errors": visits.errors(one).astype(int).tolist(),
        "error_rate": rate.tolist(),
        "is_lower_bound": is_lower_bound.tolist(),
        "n_effective": n.tolist(),
        "ci_low": low.tolist(),
        "ci_high": high.tolist(),
        "baseline_rate": base_rate.tolist(),
        "lift": np.divide(rate, base_rate, out=np.full(rate.shape, np.inf), where=base_rate > 0).tolist(),
    }
    return [SliceRate(**dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)]


class _Visits:
    """The labelled visits of g slices of one family."""

    def __init__(self, data: SliceData, family: tuple[str, ...], codes: Ints) -> None:
        v = data.n_visits
        self.slices = family_slices(data, family, codes, np.arange(v))
        self.n_names = len(data.values["predicted_id"])
        self.own, self.called = data.own_name[:v], data.codes["predicted_id"][:v]
        self.errs = data.is_wrong[:v].copy()
        group, self._wanted = self.slices.group, self.slices.of
        inside = group >= 0
        if self.slices.is_named:
            self.errs &= (self.called >= 0) & (self.called != self.own)
            self._is_own, self._erring = (np.flatnonzero(inside & of) for of in (self.own >= 0, self.errs))
            size = self.n_names + 1
            self._owners = Sparse(group[self._is_own] * size + self.own[self._is_own])
            self._callers = Sparse(group[self._erring] * size + self.called[self._erring])
            self._wanted = self.slices.of * size + self.slices.name
        self._n_groups = int(self.slices.of.max(initial=-1)) + 1
        self._inside = _Rows(np.flatnonzero(inside), group[inside])
        self._wrong = _Rows(np.flatnonzero(inside & self.errs), group[inside & self.errs])

    def all(self, values: NDArray) -> Floats:
        """(g,) sums of a value of each labelled visit over those of a slice."""
        found = self._sums(values, self._inside)
        return found - self._owners.sums(self._wanted, values[self._is_own]) if self.slices.is_named else found

    def errors(self, values: NDArray) -> Floats:
        """(g,) sums over the visits that err as the slice's errors do."""
        if self.slices.is_named:
            return self._callers.sums(self._wanted, values[self._erring])
        return self._sums(values, self._wrong)

    def _sums(self, values: NDArray, of: _Rows) -> Floats:
        found = np.bincount(of.group, values[of.rows], minlength=self._n_groups)
        return found[self.slices.of].astype(np.float64)


@dataclass(frozen=True)
class _Rows:
    """Some labelled visits, and the group of each."""

    rows: Ints  # (k,)
    group: Ints  # (k,)


def _weighted(data: SliceData, visits: _Visits) -> tuple[Floats, Floats]:
    """Weighted rates of slices, and the numbers of equally weighted visits that would give them as exactly."""
    squares = data.weight**2
    weights, all_squares, n_visits = (visits.all(one) for one in (data.weight, squares, np.ones(data.n_visits)))
    # Of a named slice all wrong weight of an erring visit counts, of others all that errs.
    wrong_of = visits.errors if visits.slices.is_named else visits.all
    p = np.minimum(_over(wrong_of(data.wrong_weight), weights), 1.0)
    variance = np.zeros(p.shape)
    for kind, ordinary in zip((False, True), data.ordinary_rates, strict=True):
        here = data.has_control == kind
        w, w2, wrong = visits.all(data.weight * here), visits.all(squares * here), wrong_of(data.wrong_weight * here)
        n = _over(w**2, w2)
        q = (_over(wrong, w) * n + _PRIOR * ordinary) / (n + _PRIOR)
        variance += np.where(visits.all(here) > 0, (q * (1 - 2 * p) + p**2) * w2, 0.0)
    # All right or all wrong, with an ordinary rate of the same kind, has no variance to compare with: Kish's number.
    kish = _over(weights**2, all_squares)
    varies = (variance > 1e-12 * all_squares) & (p > 0) & (p < 1)
    n = np.where(varies, np.divide(p * (1 - p) * weights**2, variance, out=np.zeros(p.shape), where=varies), kish)
    return p, np.minimum(n, n_visits)


def _base_rate(data: SliceData, visits: _Visits, counts: Counts) -> Floats:
    """Weighted rates of all other visits that could err so and of which the same keys are known."""
    v, name = data.n_visits, visits.slices.name
    known = has_keys(data, visits.slices.others)[:v]
    total, total_wrong = data.weight[known].sum(), data.wrong_weight[known].sum()
    wrong_of = visits.errors if visits.slices.is_named else visits.all
    inside, wrong = visits.all(data.weight), wrong_of(data.wrong_weight)
    rates = np.zeros(inside.shape)
    is_alone = np.zeros(inside.shape, bool)
    if visits.slices.is_named:

        def by_name(codes: Ints, of: NDArray[np.bool_], values: Floats) -> Floats:
            return np.bincount(codes[of], values[of], minlength=visits.n_names)[name].astype(np.float64)

        is_own = known & (visits.own >= 0)
        total = total - by_name(visits.own, is_own, data.weight)
        total_wrong = by_name(visits.called, known & visits.errs, data.wrong_weight)
        n_others = known.sum() - by_name(visits.own, is_own, np.ones(v))
        is_alone = visits.all(np.ones(v)) == n_others  # a name alone: the other names' average
        is_called = data.is_wrong[:v] & (visits.called >= 0)
        of_others = data.wrong_weight[data.is_wrong[:v]].sum() - by_name(visits.called, is_called, data.wrong_weight)
        rates = of_others / max(visits.n_names - 1, 1) / np.maximum(total, 1e-300)
    weight = total - inside
    has_others = weight > 1e-9 * total
    of_others = np.divide(np.maximum(0.0, total_wrong - wrong), weight, out=counts.base_rate.copy(), where=has_others)
    return np.where(is_alone, rates, of_others)


def _over(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.zeros(part.shape), where=whole > 0)

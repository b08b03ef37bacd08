"""Rates of slices that are listed: Horvitz-Thompson's where controls are labelled, else the least that they can be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scd_core.audit.slices.counts import Counts
from scd_core.audit.slices.data import Members, SliceData, has_keys, is_of, slice_members
from scd_core.audit.slices.statistics import wilson_interval

__all__ = ["SliceRate", "slice_rate"]

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


def slice_rate(data: SliceData, values: dict[str, str], counts: Counts, confidence: float) -> SliceRate:
    """The share of a slice's events that err, with Wilson's interval, and that of what the slice is compared with.

    Where a control of the slice is labelled, each labelled row stands for ``event_weight`` events, and visits are the
    independent proofs. The variance of the weighted rate ``p = sum(w y) / sum(w)`` over visits, linearised, is
    ``sum W^2 E(y - p)^2 / (sum W)^2``; the effective number is ``p (1 - p)`` over it (Korn and Graubard, Survey Methodology
    1998). ``E(y - p)^2 = q (1 - 2 p) + p^2`` with q the rate of visits that were flagged, or were not, drawn towards that of all
    by two visits, so that few controls without an error are not taken for faultless.

    Where none is, the rate is not known. What is known is that at least the errors that were seen are there, among the
    visits that were looked at: ``is_lower_bound``, and the rates are errors per visit of `counts`.

    Args:
        data: the visits.
        values: key -> value of the slice.
        counts: what it was found by; one slice.
        confidence: level of the interval, 0-1.
    """
    members = slice_members(data, values)
    inside = members.rows[members.rows < data.n_visits]
    is_error = members.is_error[members.rows < data.n_visits]
    is_lower_bound = not data.has_control[inside].any()
    if is_lower_bound:
        rate, n = float(counts.rate[0]), float(counts.n[0])
        base_rate = float(counts.base_rate[0])
    else:
        wrong = (
            data.wrong_weight[inside] if members.name is None else np.where(is_error, data.wrong_weight[inside], 0.0)
        )
        rate, n = _weighted(data, inside, wrong)
        base_rate = _base_rate(data, members, inside, wrong, counts)
    low, high = wilson_interval(rate, n, confidence)
    return SliceRate(
        n_events=inside.size,
        n_images=int(data.n_images[inside].sum()),
        n_errors=int(is_error.sum()),
        error_rate=rate,
        is_lower_bound=is_lower_bound,
        n_effective=n,
        ci_low=float(low),
        ci_high=float(high),
        baseline_rate=base_rate,
        lift=rate / base_rate if base_rate > 0 else np.inf,
    )


def _weighted(data: SliceData, inside: Ints, wrong: Floats) -> tuple[float, float]:
    """Weighted rate of some labelled visits, and the number of equally weighted ones that would give it as exactly."""
    weight = data.weight[inside]
    total, squares = weight.sum(), (weight**2).sum()
    if total <= 0:
        return 0.0, 0.0
    p = min(float(wrong.sum() / total), 1.0)
    variance = 0.0
    for kind in (False, True):
        here = data.has_control[inside] == kind
        if here.any():
            w, w2 = weight[here].sum(), (weight[here] ** 2).sum()
            ordinary = data.ordinary_rates[int(kind)]
            n = w**2 / w2 if w2 > 0 else 0.0
            q = ((wrong[here].sum() / w if w > 0 else 0.0) * n + _PRIOR * ordinary) / (n + _PRIOR)
            variance += (q * (1 - 2 * p) + p**2) * w2
    # All right or all wrong, with an ordinary rate of the same kind, has no variance to compare with: Kish's number.
    n = p * (1 - p) * total**2 / variance if variance > 1e-12 * squares and 0 < p < 1 else total**2 / squares
    return p, float(min(n, inside.size))


def _base_rate(data: SliceData, members: Members, inside: Ints, wrong: Floats, counts: Counts) -> float:
    """Weighted rate of all other visits that could err so and of which the same keys are known."""
    total, total_wrong, n, average = _totals(data, members)
    if members.name is not None and inside.size == n:  # a name alone: the other names' average
        return average / max(total, 1e-300)
    weight = total - data.weight[inside].sum()
    if weight <= 1e-9 * total:
        return float(counts.base_rate[0])
    return max(0.0, total_wrong - wrong.sum()) / weight


def _totals(data: SliceData, members: Members) -> tuple[float, float, int, float]:
    """Of all labelled visits that could err as a slice's do: weight, weight that does, their number, and the average weight that
    is wrongly called each other name."""
    key = members.name, members.keys
    if key not in data.totals:
        v = data.n_visits
        is_base = has_keys(data, members.keys)[:v]
        wrong, average = data.wrong_weight, 0.0
        if members.name is not None:
            is_base = is_base & ~is_of(data, members.name, slice(v))
            is_called = data.is_wrong[:v] & (data.codes["predicted_id"][:v] == members.name)
            of_others = np.where(data.is_wrong[:v] & ~is_called, wrong, 0.0).sum()
            average = float(of_others) / max(len(data.values["predicted_id"]) - 1, 1)
            wrong = np.where(is_called, wrong, 0.0)
        found = data.weight[is_base].sum(), wrong[is_base].sum()
        data.totals[key] = float(found[0]), float(found[1]), int(is_base.sum()), average
    return data.totals[key]

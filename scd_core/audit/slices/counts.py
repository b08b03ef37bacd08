"""Weighted sums over groups of rows, with the events of a group as clusters, and their effective sizes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from scd_core.audit.slices.data import SliceData
from scd_core.audit.slices.statistics import count_excess_p_value, rate_excess_p_value

__all__ = ["Sums", "effective_counts", "group_sums", "name_excess_p_value", "ordinary_rates", "sure_events"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_PRIOR = 2.0
"""Events that the ordinary rate of a stratum counts for when a slice's rate in it is estimated."""


@dataclass(frozen=True)
class Sums:
    """Sums over g groups of rows; where there are two columns, the first is of rows that were certain to be labelled, the
    second of rows that were sampled (label probability below 1)."""

    n_events: Ints  # (g,) events
    n_images: Ints  # (g,) rows
    n_errors: Ints  # (g,) events of which at least half errs, by weight
    weight: Floats  # (g, 2) sum of weights
    wrong: Floats  # (g, 2) weight that errs
    squares: Floats  # (g,) sum over events of (weight of the event)^2
    shared: Floats  # (g, 2) sum over events of weight of the event * its weight in the stratum
    unseen: Floats  # (g,) weight of one sampled event more than certain ones have; 0 where all were labelled alike

    def __getitem__(self, which: Ints | Bools) -> Sums:
        """The sums of some groups."""
        return Sums(**{name: values[which] for name, values in vars(self).items()})

    def minus(self, other: Sums) -> Sums:
        """These groups without the rows of others, which are part of them; one total serves several others."""
        return Sums(
            **{name: np.maximum(values - getattr(other, name), 0) for name, values in vars(self).items()}
        ).with_unseen(np.broadcast_to(self.unseen, other.unseen.shape))

    def with_wrong(self, wrong: Floats) -> Sums:
        """These groups with other weights that err."""
        return replace(self, wrong=wrong)

    def with_errors(self, n_errors: Ints) -> Sums:
        """These groups with other counts of events that err."""
        return replace(self, n_errors=n_errors)

    def with_unseen(self, unseen: Floats) -> Sums:
        """These groups with other weights of what was not seen."""
        return replace(self, unseen=unseen)


def group_sums(data: SliceData, group: Ints, rows: Ints, is_error: Bools, n: int) -> Sums:
    """Sums of `n` groups.

    Args:
        data: the labelled rows.
        group: (r,) group of each row, 0..n-1.
        rows: (r,) row indices.
        is_error: (r,) whether the row counts as an error here.
        n: number of groups.
    """
    keys, place = np.unique(group * np.int64(max(data.n_events, 1)) + data.event[rows], return_inverse=True)
    owner = keys // max(data.n_events, 1)
    weight, strata = data.weight[rows], (~data.is_sampled[rows], data.is_sampled[rows])

    def per(index: Ints, size: int, values: Floats) -> Floats:
        return np.bincount(index, values, minlength=size).astype(np.float64)

    of_event = np.stack([per(place, keys.size, weight * of) for of in strata], axis=1)
    total = of_event.sum(axis=1)
    is_wrong_event = per(place, keys.size, weight * is_error) >= total / 2
    unseen = np.zeros(n)
    np.maximum.at(unseen, group, data.unseen[rows])
    return Sums(
        n_events=np.bincount(owner, minlength=n),
        n_images=np.bincount(group, minlength=n),
        n_errors=np.bincount(owner[is_wrong_event], minlength=n),
        weight=np.stack([per(owner, n, of_event[:, h]) for h in (0, 1)], axis=1),
        wrong=np.stack([per(group, n, weight * (is_error & of)) for of in strata], axis=1),
        squares=per(owner, n, total**2),
        shared=np.stack([per(owner, n, total * of_event[:, h]) for h in (0, 1)], axis=1),
        unseen=unseen,
    )


def ordinary_rates(total: Sums) -> Floats:
    """(1, 2) error rates of the two strata over all rows; where a stratum is empty, the rate of all."""
    rate = total.wrong.sum() / max(total.weight.sum(), 1e-300)
    return np.where(total.weight > 0, total.wrong / np.maximum(total.weight, 1e-300), rate)


def effective_counts(sums: Sums, ordinary: Floats, with_unseen: bool = False) -> tuple[Floats, Floats]:
    """Error rates of groups, and the number of equally weighted events that would give them as exactly.

    The variance of the weighted rate ``p = sum(w y) / sum(w)`` over events e, linearised, is ``sum W_e^2 E(y_e - p)^2 /
    (sum W)^2``; with q_e the rate of the event's stratum, ``E(y_e - p)^2 = q_e (1 - 2 p) + p^2``. The effective number is
    ``p (1 - p)`` over that variance (Korn and Graubard, Survey Methodology 1998). Where all events weigh the same it is their
    number; where the weight has nothing to do with erring it is Kish's ``(sum W)^2 / sum W^2``. A stratum's rate in a group is
    drawn towards its `ordinary` one as by two events, so that a stratum that happened to show no error is not taken for
    faultless.

    Args:
        sums: sums of g groups.
        ordinary: (g or 1, 2) ordinary rates of the strata.
        with_unseen: count one more sampled event that errs at the ordinary rate. A group whose sampled rows were never
            drawn shows only what was flagged, that is, mostly errors; this keeps it from passing for a bad one.

    Returns:
        (g,) rates, 0-1, and (g,) effective events, at most the number of events.
    """
    unseen = sums.unseen if with_unseen else np.zeros(len(sums.unseen))
    add = np.stack([np.zeros_like(unseen), unseen], axis=1)
    weight = sums.weight + add
    wrong = sums.wrong + add * ordinary
    squares = sums.squares + unseen**2
    shared = sums.shared + add**2
    total = weight.sum(axis=1)
    rate = _ratio(wrong.sum(axis=1), total)
    n_in = _ratio(weight**2, shared) if shared.size else weight
    q = (_ratio(wrong, weight) * n_in + _PRIOR * ordinary) / (n_in + _PRIOR)
    p = _ratio((q * weight).sum(axis=1), total)
    variance = (1 - 2 * p) * (q * shared).sum(axis=1) + p**2 * squares
    n = _ratio(p * (1 - p) * total**2, variance)
    # All right or all wrong, with an ordinary rate of the same kind, has no variance to compare with.
    n = np.where(variance > 1e-12 * squares, n, _ratio(total**2, squares))
    return rate.clip(0, 1), np.minimum(n, sums.n_events + (unseen > 0))


def sure_events(data: SliceData, among: Ints) -> Floats:
    """(n,) events that each row stands for as a wrong name that was certain to be labelled.

    One over the number of such rows with the same event and name among the rows `among`, so that over groups that share an
    event the event counts once; 0 for all other rows.
    """
    names = data.codes["predicted_id"]
    rows = among[data.is_wrong[among] & ~data.is_sampled[among] & (names[among] >= 0)]
    n_names = max(len(data.values["predicted_id"]), 1)
    _, place, n = np.unique(data.event[rows] * np.int64(n_names) + names[rows], return_inverse=True, return_counts=True)
    events = np.zeros(data.event.size)
    events[rows] = 1 / n[place]
    return events


def name_excess_p_value(sums: Sums, ordinary: Floats, base: Sums, count: Floats, base_count: Floats) -> Floats:
    """p-values that groups are called a certain name no more often than their baselines.

    Twice the smaller of two: that of the rates (`statistics.rate_excess_p_value` on effective
    counts), and, where labels were sampled, that of the events with such an error that was certain to be labelled, per event
    of the group (`statistics.count_excess_p_value`). One sampled event stands for many, so the rate of a group
    with few of them is poorly known; but that seven events were flagged and called a name that hardly anybody else is
    called needs no rate. The number of a group's sampled events is taken as large as it may be, at 95 % of Poisson's.

    Args:
        sums: sums of g groups, the errors being those called the name.
        ordinary: (g or 1, 2) ordinary rates of the strata.
        base: sums of their baselines.
        count: (g,) events of the groups that are called the name in a row that was certain to be labelled
            (:func:`sure_events`).
        base_count: (g,) such events of the baselines.

    Returns:
        (g,) p-values, 0-1.
    """
    rate, n = effective_counts(sums, ordinary, with_unseen=True)
    base_rate, base_n = effective_counts(base, ordinary)
    p_rate = rate_excess_p_value(rate * n, n, base_rate * base_n, base_n)
    n_sampled = _ratio(sums.weight[:, 1], sums.unseen)
    most = sums.weight[:, 0] + sums.unseen * stats.chi2.ppf(0.95, 2 * (n_sampled + 1)) / 2
    p_count = count_excess_p_value(count, most, base_count, base.weight.sum(axis=1))
    return np.where(sums.unseen > 0, np.minimum(2 * np.minimum(p_rate, p_count), 1.0), p_rate)


def _ratio(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.zeros(np.shape(whole)), where=whole > 0)

"""Evidence that holds however often one looks: an e-process of each slice, over the days on which labels came in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy.sparse import csr_array

from scd_core.audit.slices.cells import family_slices, slice_codes
from scd_core.audit.slices.counts import FROM_LABELS, kinds_of_labels
from scd_core.audit.slices.data import DAY, Members, SliceData, has_keys, is_error, slice_members
from scd_core.audit.slices.tested import TestedSlice
from scd_core.config import SliceConfig
from scd_core.names import UNKNOWN

__all__ = ["LIFTS", "announce", "e_process", "first_announced"]

LIFTS: tuple[float, ...] = tuple(np.geomspace(1.5, 200, 16).tolist())
"""Lifts that the alternative is an equal mixture of: 16 in equal ratios from 1.5 to 200."""
_LOG_LIFTS, _MORE = np.log(LIFTS)[:, None], np.array(LIFTS)[:, None] - 1
_MAX_P = 0.05
"""p-value up to which a slice's e-process is followed; the others count with e = 0."""

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def e_process(day: Ints, errors: Floats, total: Floats, share: Floats, n_days: int) -> Floats:
    """Evidence, after each day, that a slice errs more than its share: a mixture over lifts of products over days.

    On a day with m new errors of the slice's kind and a share s of what was looked at, each error falls into the slice with
    probability at most s, where it errs no more than the rest. With lift t the probability is ``t s / (1 + (t - 1) s)``, so
    x errors inside have the likelihood ratio ``t^x / (1 + (t - 1) s)^m``, of mean at most 1: visits err once at most, and
    drawing without replacement spreads no more than drawing with (Hoeffding, JASA 1963). The product over days is a
    supermartingale for each t, and so is the mean of the products over :data:`LIFTS`. So the chance that it ever reaches
    1 / a is at most a, whatever is looked at when (Ville 1939; Shafer, JRSS A 2021).

    Args:
        day: (c,) day of each group of errors, 0 to `n_days` - 1; a day may have several groups.
        errors: (c,) errors of the group in the slice, x.
        total: (c,) errors of the group, m.
        share: (c,) share of the slice in what was looked at of the group, 0-1.
        n_days: d.

    Returns:
        (d,) e-values, at least 0.

    >>> e_process(np.array([0, 1]), np.array([2.0, 0.0]), np.array([2.0, 1.0]), np.array([0.1, 0.1]), 2).round(1).tolist()
    [44.6, 9.7]
    """
    steps = errors * _LOG_LIFTS - total * np.log1p(_MORE * share)
    is_daily = np.array_equal(day, np.arange(n_days))
    by_day = steps if is_daily else np.stack([np.bincount(day, one, minlength=n_days) for one in steps])
    return np.exp(np.minimum(by_day.cumsum(axis=1), 700.0)).mean(axis=0)


def first_announced(e_values: Floats, weights: Floats, level: float) -> Ints:
    """Day on which each slice first passed the e-BH procedure; -1 for never.

    Wang and Ramdas (JRSS B 2022) reject the k hypotheses with the largest e-values where each has ``e w >= 1 / (k level)``, with
    weights w whose sum over all hypotheses is at most 1; under any dependence the false discovery rate is at most `level`.
    Where nothing is wrong anywhere, a rejection on any day means that the weighted mean of all e-processes reaches
    1 / level, which has a chance of at most `level` over all days.

    Args:
        e_values: (g, d) of each slice after each day.
        weights: (g,) shares of the slices in all hypotheses that are tested.
        level: false discovery rate, 0-1.

    >>> first_announced(np.array([[1.0, 90.0], [1.0, 50.0], [1.0, 2.0]]), np.full(3, 1 / 3), 0.05).tolist()
    [1, 1, -1]
    """
    found = np.full(len(e_values), -1, np.int64)
    for day in range(e_values.shape[1]):
        weighted = e_values[:, day] * weights
        order = np.argsort(-weighted, kind="stable")
        passes = weighted[order] * level * np.arange(1, order.size + 1) >= 1
        n = int(np.flatnonzero(passes).max(initial=-1)) + 1
        rejected = order[:n]
        found[rejected] = np.where(found[rejected] < 0, day, found[rejected])
    return found


def announce(data: SliceData, tested: list[TestedSlice], config: SliceConfig) -> None:
    """Set ``e_value`` and ``announced_at`` of slices, from the days on which it became known what their visits are.

    Everything is computed from the labels that there are and when each came in, so a report needs no report before it.

    Args:
        data: the visits.
        tested: the slices; changed in place.
        config: level.
    """
    followed = [place for place, one in enumerate(tested) if one.p_value < _MAX_P]
    if not followed:
        return
    looked = _looked(data)
    groups = _Groups(data, looked)
    daily = _daily(data, looked, [dict(tested[place].slice) for place in followed])
    e_values = np.stack(
        [groups.e_values(dict(tested[place].slice), n) for place, n in zip(followed, daily, strict=True)]
    )
    weights = np.array([tested[place].e_weight for place in followed])
    days = first_announced(e_values, weights, config.max_q)
    for place, path, day in zip(followed, e_values, days.tolist(), strict=True):
        tested[place].e_value = float(path[-1])
        tested[place].announced_at = looked.moments[day] if day >= 0 else None


@dataclass(frozen=True)
class _Looked:
    """On which of d days each visit was looked at; an unlabelled one on those of its camera's labelled flags."""

    day: Ints  # (v,) of a labelled visit
    moments: list[datetime]  # (d,) of the last label of each day
    place: Ints  # (u,) row of `shares` of each exposure
    shares: csr_array  # (p, d) each row sums to 1

    def grouped(self, rows: Ints, group: Ints, n_groups: int, exposure: Floats) -> Floats:
        """(g, d) :meth:`daily` of g groups of some rows, which are in rising order."""
        v, n_days = self.day.size, len(self.moments)
        split = int(np.searchsorted(rows, v))
        labelled, others = rows[:split], rows[split:] - v
        found = np.bincount(group[:split] * n_days + self.day[labelled], minlength=n_groups * n_days).astype(np.float64)
        cells = (exposure[v + others], (group[split:], self.place[others]))
        of_place = csr_array(cells, shape=(n_groups, self.shares.shape[0]))
        return found.reshape(n_groups, n_days) + (of_place @ self.shares).toarray()

    def daily(self, rows: Ints, exposure: Floats) -> Floats:
        """(d,) visits of some rows that were looked at on each day."""
        v = self.day.size
        labelled, others = rows[rows < v], rows[rows >= v] - v
        found = np.bincount(self.day[labelled], minlength=len(self.moments)).astype(np.float64)
        if others.size:
            of_place = np.bincount(self.place[others], exposure[v + others], minlength=self.shares.shape[0])
            found += self.shares.T @ of_place
        return found


class _Groups:
    """The errors of slices by day, and the share of each slice in what was looked at."""

    def __init__(self, data: SliceData, looked: _Looked) -> None:
        self.data = data
        self.looked = looked
        self._others: dict[tuple[int | None, tuple[str, ...]], tuple[Floats, Floats]] = {}
        # Rows by their own name.
        self._own = np.argsort(data.own_name, kind="stable")
        self._starts = np.searchsorted(data.own_name[self._own], np.arange(len(data.values["predicted_id"]) + 1))

    def e_values(self, values: dict[str, str], n: Floats) -> Floats:
        """(d,) e-values of a slice of which n visits were looked at on each day."""
        n_days = len(self.looked.moments)
        if FROM_LABELS.keys() & values.keys():
            return self._among_labels(slice_members(self.data.labelled, values))
        members = slice_members(self.data.wrong[1], values)
        errors = self._by_day(self.data.wrong[0][members.errors])
        total, n_all = self._all(members)
        if members.name is not None and not members.keys and np.all(n >= n_all - 1e-9):
            # A name alone, compared with the average of the other names.
            is_named = self.data.is_wrong & (self.data.codes["predicted_id"] >= 0)
            if UNKNOWN in self.data.values["predicted_id"]:
                is_named &= self.data.codes["predicted_id"] != self.data.values["predicted_id"].index(UNKNOWN)
            total, n_all = self._by_day(np.flatnonzero(is_named)), n * len(self.data.values["predicted_id"])
        share = np.divide(n, n_all, out=np.zeros_like(n), where=n_all > 0)
        return e_process(np.arange(n_days), errors, total, np.minimum(share, 1.0), n_days)

    def _by_day(self, visits: Ints) -> Floats:
        return np.bincount(self.looked.day[visits], minlength=len(self.looked.moments)).astype(np.float64)

    def _all(self, members: Members) -> tuple[Floats, Floats]:
        """(d,) errors, and visits looked at, of all that could err so and of which the same keys are known."""
        key = members.name, members.keys
        if key not in self._others:
            data = self.data
            if members.name is None:
                rows = np.flatnonzero(has_keys(data, members.keys))
                self._others[key] = self._by_day(rows[data.is_wrong[rows]]), self.looked.daily(rows, data.exposure)
            else:  # less those that are of the individual
                _, n_all = self._all(replace(members, name=None))
                own = self._own[self._starts[members.name] : self._starts[members.name + 1]]
                called = data.rows_with("predicted_id", members.name)
                called = called[data.is_wrong[called] & (data.own_name[called] != members.name)]
                own, called = (rows[has_keys(data, members.keys, rows)] for rows in (own, called))
                n_own = self.looked.daily(own, data.exposure)
                self._others[key] = self._by_day(called), np.maximum(n_all - n_own, 0.0)
        return self._others[key]

    def _among_labels(self, members: Members) -> Floats:
        """(d,) e-values of a slice with a key that only labels have: among labelled visits of each kind and day."""
        rows, kind = kinds_of_labels(self.data.labelled, members)
        day = self.looked.day[rows]
        groups, group = np.unique(kind * len(self.looked.moments) + day, return_inverse=True)
        is_inside, wrong = np.isin(rows, members.rows, assume_unique=True), is_error(self.data, rows, members.name)
        n_all, total = (np.bincount(group, of, minlength=groups.size).astype(float) for of in (None, wrong))
        n, errors = (
            np.bincount(group, of, minlength=groups.size).astype(float) for of in (is_inside, is_inside & wrong)
        )
        n_days = len(self.looked.moments)
        return e_process(groups % n_days, errors, total, n / np.maximum(n_all, 1), n_days)


def _daily(data: SliceData, looked: _Looked, slices: Sequence[Mapping[str, str]]) -> Floats:
    """(g, d) visits of slices that were looked at on each day, of the slices of one family at once; 0 for slices of labels."""
    found = np.zeros((len(slices), len(looked.moments)))
    families: dict[tuple[str, ...], list[int]] = {}
    for number, values in enumerate(slices):
        if not FROM_LABELS.keys() & values.keys():
            families.setdefault(tuple(values), []).append(number)
    for family, numbers in families.items():
        codes = np.concatenate([slice_codes(data, slices[number])[1] for number in numbers])
        cells = family_slices(data, family, codes, np.arange(data.exposure.size))
        rows = np.flatnonzero(cells.group >= 0)
        found[numbers] = looked.grouped(rows, cells.group[rows], int(cells.of.max()) + 1, data.exposure)[cells.of]
        if "pair" not in family and "predicted_id" in family:  # less those that are of the individual
            size = len(data.values["predicted_id"]) + 1
            wanted, number = np.unique(cells.of * size + cells.name, return_inverse=True)
            rows = rows[data.own_name[rows] >= 0]
            own = cells.group[rows] * size + data.own_name[rows]
            at = np.minimum(np.searchsorted(wanted, own), wanted.size - 1)
            is_own = wanted[at] == own
            found[numbers] -= looked.grouped(rows[is_own], at[is_own], wanted.size, data.exposure)[number]
    return found


def _looked(data: SliceData) -> _Looked:
    """When visits were looked at: a labelled one on the day on which its first label came in."""
    # A label of unknown time is older than all others.
    known = pc.fill_null(data.rows["known_at"].combine_chunks().cast(pa.int64()), 0).to_numpy()
    first = np.full(data.n_visits, np.iinfo(np.int64).max)
    np.minimum.at(first, data.visit, known)
    days, day = np.unique(first // DAY, return_inverse=True)
    last = np.zeros(days.size, np.int64)
    np.maximum.at(last, day, first)
    place, shares = _shares(data, day, days.size)
    return _Looked(day, [datetime.fromtimestamp(one / 1e6, UTC) for one in last.tolist()], place, shares)


def _shares(data: SliceData, day: Ints, n_days: int) -> tuple[Ints, csr_array]:
    """Of each exposure its place (a camera in a batch), and the days on which flagged visits of each place were labelled; of
    a place without one, the days of all."""
    v, codes = data.n_visits, data.codes["place"]
    counts = ~data.has_control if not data.has_control.all() else np.ones(v, bool)
    n_places = int(codes.max(initial=-1)) + 1
    here = np.flatnonzero(counts & (codes[:v] >= 0))
    rows, columns = codes[here], day[here]
    everywhere = np.flatnonzero(counts)
    rows = np.concatenate([rows, np.full(everywhere.size, n_places)])
    columns = np.concatenate([columns, day[everywhere]])
    found = csr_array((np.ones(rows.size), (rows, columns)), shape=(n_places + 1, n_days))
    totals = np.asarray(found.sum(axis=1)).ravel()
    place = np.where((codes[v:] >= 0) & (totals[codes[v:]] > 0), codes[v:], n_places)
    return place, csr_array(found.multiply((1 / np.maximum(totals, 1.0))[:, None]))

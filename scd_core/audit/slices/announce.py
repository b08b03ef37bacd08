"""Evidence that holds however often one looks: an e-process of each slice, over the days on which labels came in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy.sparse import csr_array

from scd_core.audit.slices.cells import family_slices, slice_codes
from scd_core.audit.slices.counts import FROM_LABELS, kinds_of_labels
from scd_core.audit.slices.data import DAY, Members, SliceData, has_keys, is_error, slice_members
from scd_core.audit.slices.tested import TestedSlice
from scd_core.audit.slices.together import in_threads
from scd_core.config import SliceConfig
from scd_core.names import UNKNOWN

__all__ = ["LIFTS", "announce", "e_process", "first_announced"]

LIFTS: tuple[float, ...] = tuple(np.geomspace(1.5, 200, 16).tolist())
"""Lifts that the alternative is an equal mixture of: 16 in equal ratios from 1.5 to 200."""
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
    return _mixture(errors, total, share, lambda steps: np.bincount(day, steps, minlength=n_days).astype(np.float64))


def _mixture(
    errors: Floats, total: Floats, share: Floats, by_day: Callable[[Floats], Floats] = lambda steps: steps
) -> Floats:
    """(..., d) :func:`e_process` of (..., c) groups of errors, whose steps are added up by day; each a day by itself."""
    paths = (by_day(errors * np.log(lift) - total * np.log1p((lift - 1) * share)).cumsum(axis=-1) for lift in LIFTS)
    return np.asarray(sum(np.exp(np.minimum(path, 700.0)) for path in paths)) / len(LIFTS)


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
    e_values = _e_values(data, looked, [dict(tested[place].slice) for place in followed])
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

    def grouped(self, rows: Ints, whole: Ints, n_groups: int, exposure: Floats) -> Floats:
        """(g, d) visits of g groups of some rows, in rising order, that were looked at on each day."""
        v = self.day.size
        split = int(np.searchsorted(rows, v))
        labelled, others = rows[:split], rows[split:] - v
        exposure, group, place, n_places = exposure[v + others], whole[split:], self.place[others], self.shares.shape[0]
        if n_groups * n_places <= 4 * rows.size:  # adding up is faster than sorting
            of_place = np.bincount(group * n_places + place, exposure, minlength=n_groups * n_places)
            looked = of_place.reshape(n_groups, n_places) @ self.shares
        else:
            looked = (csr_array((exposure, (group, place)), shape=(n_groups, n_places)) @ self.shares).toarray()
        return self.counted(labelled, whole[:split], n_groups) + looked

    def counted(self, visits: Ints, group: Ints, n_groups: int) -> Floats:
        """(g, d) labelled visits of g groups on each day."""
        n_days = len(self.moments)
        found = np.bincount(group * n_days + self.day[visits], minlength=n_groups * n_days)
        return found.reshape(n_groups, n_days).astype(np.float64)


def _e_values(data: SliceData, looked: _Looked, slices: Sequence[Mapping[str, str]]) -> Floats:
    """(g, d) e-values of slices, of those of one family at once."""
    found = np.zeros((len(slices), len(looked.moments)))
    families: dict[tuple[str, ...], list[int]] = {}
    for number, values in enumerate(slices):
        if FROM_LABELS.keys() & values.keys():
            found[number] = _among_labels(data, looked, slice_members(data.labelled, values))
        else:
            families.setdefault(tuple(values), []).append(number)
    others = _Others(data, looked)

    def of_family(family: tuple[str, ...]) -> Floats:
        codes = np.concatenate([slice_codes(data, slices[number])[1] for number in families[family]])
        return _of_family(data, looked, others, family, codes)

    for numbers, e_values in zip(families.values(), in_threads(of_family, families), strict=True):
        found[numbers] = e_values
    return found


def _of_family(data: SliceData, looked: _Looked, others: _Others, family: tuple[str, ...], codes: Ints) -> Floats:
    """(g, d) e-values of slices of one family, of which (g, k) are the codes of its values."""
    cells = family_slices(data, family, codes, np.arange(data.exposure.size))
    rows, erring = np.flatnonzero(cells.group >= 0), data.wrong[0]
    of, n_groups = cells.of, int(cells.of.max()) + 1
    n = looked.grouped(rows, cells.group[rows], n_groups, data.exposure)[of]
    erring = erring[cells.group[erring] >= 0]
    group = cells.group[erring]
    if not cells.is_named:
        total, n_all = others.all(cells.others)
    else:
        size = len(data.values["predicted_id"]) + 1
        wanted, of = np.unique(cells.of * size + cells.name, return_inverse=True)
        group, erring = _places(wanted, group * size + data.codes["predicted_id"][erring], erring)
        n_groups = wanted.size
        total, n_all = (of_names[cells.name] for of_names in others.by_name(cells.others))
        if "pair" not in family:  # less those that are of the individual
            rows = rows[data.own_name[rows] >= 0]
            own, rows = _places(wanted, cells.group[rows] * size + data.own_name[rows], rows)
            n = n - looked.grouped(rows, own, n_groups, data.exposure)[of]
            is_other = data.own_name[erring] != data.codes["predicted_id"][erring]
            group, erring = group[is_other], erring[is_other]
        if not cells.others:
            # A name alone, compared with the average of the other names.
            is_alone = np.all(n >= n_all - 1e-9, axis=1)[:, None]
            n_names = len(data.values["predicted_id"])
            total, n_all = np.where(is_alone, others.names, total), np.where(is_alone, n * n_names, n_all)
    errors = looked.counted(erring, group, n_groups)[of]
    share = np.divide(n, n_all, out=np.zeros_like(n), where=n_all > 0)
    return _mixture(errors, total, np.minimum(share, 1.0))


class _Others:
    """What slices are compared with, by day: all visits of which the same keys are known."""

    def __init__(self, data: SliceData, looked: _Looked) -> None:
        self._data = data
        self._looked = looked
        self._found: dict[tuple[str, ...], tuple[Floats, Floats]] = {}

    @cached_property
    def names(self) -> Floats:
        """(d,) errors that are given any name but ``unknown``."""
        erring, called = self._data.wrong[0], self._data.codes["predicted_id"][self._data.wrong[0]]
        is_named = called >= 0
        if UNKNOWN in self._data.values["predicted_id"]:
            is_named &= called != self._data.values["predicted_id"].index(UNKNOWN)
        return self._looked.counted(erring[is_named], np.zeros(is_named.sum(), np.int64), 1)[0]

    def all(self, keys: tuple[str, ...]) -> tuple[Floats, Floats]:
        """(d,) errors, and (d,) visits looked at."""
        data = self._data
        rows, erring = np.flatnonzero(has_keys(data, keys)), data.wrong[0]
        erring = erring[has_keys(data, keys, erring)]
        total = self._looked.counted(erring, np.zeros_like(erring), 1)
        return total[0], self._looked.grouped(rows, np.zeros_like(rows), 1, data.exposure)[0]

    def by_name(self, keys: tuple[str, ...]) -> tuple[Floats, Floats]:
        """(k, d) errors that are given each of k names, and (k, d) visits looked at that are not of its individual."""
        if keys not in self._found:  # two families have the same other keys
            self._found[keys] = self._by_name(keys)
        return self._found[keys]

    def _by_name(self, keys: tuple[str, ...]) -> tuple[Floats, Floats]:
        data, n_names = self._data, max(len(self._data.values["predicted_id"]), 1)
        called = data.codes["predicted_id"]
        erring = data.wrong[0]
        erring = erring[
            (called[erring] >= 0) & (called[erring] != data.own_name[erring]) & has_keys(data, keys, erring)
        ]
        own = np.flatnonzero(has_keys(data, keys) & (data.own_name >= 0))
        n_own = self._looked.grouped(own, data.own_name[own], n_names, data.exposure)
        return self._looked.counted(erring, called[erring], n_names), np.maximum(self.all(keys)[1] - n_own, 0.0)


def _among_labels(data: SliceData, looked: _Looked, members: Members) -> Floats:
    """(d,) e-values of a slice with a key that only labels have: among labelled visits of each kind and day."""
    rows, kind = kinds_of_labels(data.labelled, members)
    n_days = len(looked.moments)
    groups, group = np.unique(kind * n_days + looked.day[rows], return_inverse=True)
    is_inside, wrong = np.isin(rows, members.rows, assume_unique=True), is_error(data, rows, members.name)
    n_all, total, n, errors = (
        np.bincount(group, of, minlength=groups.size).astype(float)
        for of in (None, wrong, is_inside, is_inside & wrong)
    )
    return e_process(groups % n_days, errors, total, n / np.maximum(n_all, 1), n_days)


def _places(wanted: Ints, numbers: Ints, rows: Ints) -> tuple[Ints, Ints]:
    """Of the rows whose number is wanted, its place, and these rows."""
    at = np.minimum(np.searchsorted(wanted, numbers), wanted.size - 1)
    is_wanted = wanted[at] == numbers
    return at[is_wanted], rows[is_wanted]


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

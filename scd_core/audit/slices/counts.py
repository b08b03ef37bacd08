"""Counts of slices and of what they are compared with: errors and visits, inside and outside."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scd_core.audit.slices.data import Members, SliceData, is_error, is_of
from scd_core.audit.slices.statistics import rate_excess_p_value

__all__ = ["FROM_LABELS", "Counts", "Groups", "groups_by", "in_kind_counts", "kinds_of_labels", "total_errors"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

FROM_LABELS: dict[str, tuple[str, ...]] = {"flank": (), "labelled_by": ("camera_id", "true_id")}
"""Keys that only labels have, so that a slice of them is compared with labelled visits alone: of the same values of its other
keys, and of these. Which visits are labelled differs from place to place, and people do not label the same places."""


@dataclass(frozen=True)
class Counts:
    """Errors and visits of g slices, and of what each is compared with; visits need not be whole."""

    errors: Floats  # (g,)
    n: Floats  # (g,)
    base_errors: Floats  # (g,)
    base_n: Floats  # (g,)

    def __getitem__(self, which: Ints | Bools) -> Counts:
        """The counts of some slices."""
        return Counts(**{name: values[which] for name, values in vars(self).items()})

    @property
    def rate(self) -> Floats:
        """(g,) errors per visit, 0-1."""
        return _ratio(self.errors, self.n)

    @property
    def base_rate(self) -> Floats:
        """(g,) errors per visit of what each is compared with, 0-1."""
        return _ratio(self.base_errors, self.base_n)

    @property
    def lift(self) -> Floats:
        """(g,) the rate over the base rate; infinite over nothing."""
        return np.divide(self.rate, self.base_rate, out=np.full(self.n.shape, np.inf), where=self.base_errors > 0)

    def p_values(self) -> Floats:
        """(g,) one-sided p-values that a slice errs no more than what it is compared with, of visits to the next whole one."""
        n, base_n = np.maximum(np.rint(self.n), self.errors), np.maximum(np.rint(self.base_n), self.base_errors)
        return rate_excess_p_value(self.errors, n, self.base_errors, base_n)


@dataclass(frozen=True)
class Groups:
    """Rows grouped by the values of some keys; g groups, r rows of which all keys are known."""

    codes: Ints  # (g, k) of the keys
    group: Ints  # (r,) group of each row
    rows: Ints  # (r,) their indices

    @property
    def n(self) -> int:
        """Number of groups."""
        return len(self.codes)

    def sums(self, values: NDArray) -> Floats:
        """(g,) sums of a value of each of all rows over the groups."""
        return np.bincount(self.group, values[self.rows], minlength=self.n).astype(np.float64)


def groups_by(data: SliceData, keys: tuple[str, ...], among: Bools | None = None) -> Groups:
    """Group the rows, or some, by keys."""
    n = data.exposure.size
    inside = np.ones(n, bool) if among is None else among.copy()
    for key in keys:
        inside &= data.codes[key] >= 0
    rows = np.flatnonzero(inside)
    if not keys:
        return Groups(np.zeros((1, 0), np.int64), np.zeros_like(rows), rows)
    columns = np.stack([data.codes[key][rows] for key in keys], axis=1)
    flat = np.zeros(rows.size, np.int64)
    for place, key in enumerate(keys):
        flat = flat * max(len(data.values[key]), 1) + columns[:, place]
    _, first, group = np.unique(flat, return_index=True, return_inverse=True)
    return Groups(columns[first].reshape(-1, len(keys)), group.astype(np.int64), rows)


def total_errors(data: SliceData, rows: Ints) -> tuple[float, float]:
    """Errors and visits among some rows."""
    return float(data.is_wrong[rows].sum()), float(data.exposure[rows].sum())


def in_kind_counts(data: SliceData, members: Members, is_left: Bools | None = None) -> Counts:
    """Counts of one slice that has a key only labels have, against labelled visits like its own.

    Like means: with the same values of the slice's other keys and of those that :data:`FROM_LABELS` names. Only visits count
    that have one of another value to be compared with. The others' rate is standardised to the kinds of
    visits that the slice has: ``sum(n_s x0_s / n0_s) / sum(n_s)`` over kinds s, with the size ``sum(n_s)^2 / sum(n_s^2 / n0_s)``
    of a sample without kinds that gives a rate as exactly.

    Args:
        data: the visits.
        members: the slice.
        is_left: (n,) rows that count; None is all.
    """
    rows, kind = kinds_of_labels(data, members, is_left)
    is_inside = _among(rows, members.rows)
    wrong = is_error(data, rows, members.name)
    n_kinds = int(kind.max(initial=-1)) + 1

    def per(of: Bools) -> Floats:
        return np.bincount(kind[of], minlength=n_kinds).astype(np.float64)

    n, x, n0, x0 = per(is_inside), per(is_inside & wrong), per(~is_inside), per(~is_inside & wrong)
    n, x = np.where(n0 > 0, n, 0.0), np.where(n0 > 0, x, 0.0)
    total, spread = n.sum(), _ratio(n**2, n0).sum()
    base_n = total**2 / spread if spread > 0 else 0.0
    base_rate = (n * _ratio(x0, n0)).sum() / total if total > 0 else 0.0
    return Counts(*(np.array([value]) for value in (x.sum(), total, base_rate * base_n, base_n)))


def kinds_of_labels(data: SliceData, members: Members, is_left: Bools | None = None) -> tuple[Ints, Ints]:
    """The labelled visits that a slice with a key only labels have is compared with, its own included, and the kind of each.

    Args:
        data: the visits.
        members: the slice.
        is_left: (n,) rows that count; None is all.

    Returns:
        (r,) rows that could err as the slice's do, and (r,) kinds, 0 to their number: the other keys' values.
    """
    labels = [key for key in members.keys if key in FROM_LABELS]
    alike = {key: None for key in members.keys if key not in labels} | {
        one: None for key in labels for one in FROM_LABELS[key]
    }
    # Kinds that the slice has none of do not matter: where its rows have one value of a key, so have all that are compared.
    same = {
        key: int(data.codes[key][members.rows[0]]) for key in alike if members.rows.size and _is_one(data, key, members)
    }
    some = [data.rows_with(key, code) for key, code in same.items() if code >= 0]
    rows = min(some, key=len) if some else np.arange(data.n_visits)
    rows = rows[rows < data.n_visits]
    for key in labels:
        rows = rows[data.codes[key][rows] >= 0]
    for key, code in same.items():
        rows = rows[data.codes[key][rows] == code]
    if is_left is not None:
        rows = rows[is_left[rows]]
    if members.name is not None:
        rows = rows[~is_of(data, members.name, rows)]
    kind = np.zeros(rows.size, np.int64)
    for key in alike:
        kind = kind * (len(data.values[key]) + 1) + data.codes[key][rows] + 1
    return rows, np.unique(kind, return_inverse=True)[1].astype(np.int64)


def _among(rows: Ints, some: Ints) -> Bools:
    """Which of some rising rows are among others, rising too."""
    place = np.minimum(np.searchsorted(some, rows), max(some.size - 1, 0))
    return some[place] == rows if some.size else np.zeros(rows.size, bool)


def _is_one(data: SliceData, key: str, members: Members) -> bool:
    codes = data.codes[key][members.rows]
    return bool((codes == codes[0]).all())


def _ratio(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.zeros(np.broadcast(part, whole).shape), where=whole > 0)

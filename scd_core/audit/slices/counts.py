"""Counts of slices and of what they are compared with: errors and visits, inside and outside."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scd_core.audit.slices.cells import Sparse, family_slices, mixed
from scd_core.audit.slices.data import Members, SliceData, is_of
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

    def __getitem__(self, which: Ints | Bools | slice) -> Counts:
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
    sizes = [max(len(data.values[key]), 1) for key in keys]
    flat = np.ravel_multi_index([data.codes[key][rows] for key in keys], sizes)
    if math.prod(sizes) <= 4 * rows.size:  # counting is faster than sorting
        is_there = np.bincount(flat, minlength=math.prod(sizes)) > 0
        found, group = np.flatnonzero(is_there), (np.cumsum(is_there) - 1)[flat]
    else:
        found, group = np.unique(flat, return_inverse=True)
    codes = np.stack(np.unravel_index(found, sizes), axis=1)
    return Groups(codes.reshape(-1, len(keys)).astype(np.int64), group.astype(np.int64), rows)


def total_errors(data: SliceData, rows: Ints) -> tuple[float, float]:
    """Errors and visits among some rows."""
    return float(data.is_wrong[rows].sum()), float(data.exposure[rows].sum())


def in_kind_counts(data: SliceData, family: tuple[str, ...], codes: Ints, is_left: Bools | None = None) -> Counts:
    """Counts of the slices of a family that has a key only labels have, against labelled visits like their own.

    Like means: with the same values of the slice's other keys and of those that :data:`FROM_LABELS` names. Only visits count
    that have one of another value to be compared with. The others' rate is standardised to the kinds of
    visits that the slice has: ``sum(n_s x0_s / n0_s) / sum(n_s)`` over kinds s, with the size ``sum(n_s)^2 / sum(n_s^2 / n0_s)``
    of a sample without kinds that gives a rate as exactly.

    Args:
        data: the visits.
        family: keys of the slices.
        codes: (g, k) of their values.
        is_left: (n,) rows that count; None is all.
    """
    v = data.n_visits
    is_known = np.ones(v, bool) if is_left is None else is_left[:v].copy()
    for key in FROM_LABELS.keys() & set(family):
        is_known &= data.codes[key][:v] >= 0
    rows = np.flatnonzero(is_known)
    slices = family_slices(data, family, codes, rows)
    alike = _alike(slices.others)
    columns = [data.codes[key][rows] for key in alike] or [np.zeros_like(rows)]
    kinds, kind = np.unique(mixed(columns, [len(data.values[key]) for key in alike] or [0]), return_inverse=True)
    inside = slices.group >= 0
    # The kinds that each group has, and the groups' visits of each.
    cells, cell = np.unique(slices.group[inside] * kinds.size + kind[inside], return_inverse=True)
    starts = np.searchsorted(cells, np.arange(slices.of.max(initial=-1) + 2) * kinds.size)
    many = (starts[1:] - starts[:-1])[slices.of]
    one = np.repeat(np.arange(len(codes)), many)
    at = np.arange(one.size) - np.repeat(np.cumsum(many) - many, many) + starts[slices.of][one]
    of_kind, wrong = cells[at] % max(kinds.size, 1), data.is_wrong[rows]
    n = np.bincount(cell, minlength=cells.size)[at].astype(np.float64)
    n_all = np.bincount(kind, minlength=kinds.size)[of_kind].astype(np.float64)
    if slices.is_named:
        size = len(data.values["predicted_id"]) + 1
        own, called = data.own_name[rows], data.codes["predicted_id"][rows]
        wrong = wrong & (called >= 0) & (called != own)
        cell_of_row = np.full(rows.size, -1, np.int64)
        cell_of_row[inside] = cell
        name = slices.name[one]
        is_own, is_both = own >= 0, wrong & inside
        n -= Sparse((cell_of_row * size + own)[inside & is_own]).sums(at * size + name)
        n_all -= Sparse((kind * size + own)[is_own]).sums(of_kind * size + name)
        x = Sparse((cell_of_row * size + called)[is_both]).sums(at * size + name)
        x_all = Sparse((kind * size + called)[wrong]).sums(of_kind * size + name)
    else:
        x = np.bincount(cell, wrong[inside], minlength=cells.size)[at]
        x_all = np.bincount(kind, wrong, minlength=kinds.size)[of_kind]
    n0, x0 = n_all - n, x_all - x
    n, x = np.where(n0 > 0, n, 0.0), np.where(n0 > 0, x, 0.0)

    def per(values: Floats) -> Floats:
        return np.bincount(one, values, minlength=len(codes)).astype(np.float64)

    total = per(n)
    base_n = _ratio(total**2, per(_ratio(n**2, n0)))
    return Counts(per(x), total, _ratio(per(n * _ratio(x0, n0)), total) * base_n, base_n)


def _alike(keys: tuple[str, ...]) -> list[str]:
    """Keys whose values the visits have in common that a slice with a key only labels have is compared with."""
    labels = [key for key in keys if key in FROM_LABELS]
    return list(
        dict.fromkeys([key for key in keys if key not in labels] + [one for key in labels for one in FROM_LABELS[key]])
    )


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
    alike = _alike(members.keys)
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


def _is_one(data: SliceData, key: str, members: Members) -> bool:
    codes = data.codes[key][members.rows]
    return bool((codes == codes[0]).all())


def _ratio(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.zeros(np.broadcast(part, whole).shape), where=whole > 0)

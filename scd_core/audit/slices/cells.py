"""Visits counted by the slices of one family that they are in, all slices at once."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scd_core.audit.slices.data import PAIR, SliceData

__all__ = ["FamilySlices", "Sparse", "family_slices", "mixed", "slice_codes"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_NAMES = ("pair", "predicted_id")


def slice_codes(data: SliceData, values: Mapping[str, str]) -> tuple[tuple[str, ...], Ints]:
    """The family of one slice that is given as key -> value, and (1, k) the codes of its values."""
    codes = [bisect_left(data.values[key], value) for key, value in values.items()]
    return tuple(values), np.array([codes], np.int64)


def mixed(columns: list[Ints], sizes: list[int]) -> Ints:
    """One number for each row of some columns of codes, -1 among them: rows are equal where the numbers are."""
    flat = np.zeros(columns[0].shape if columns else (), np.int64)
    for column, size in zip(columns, sizes, strict=True):
        flat = flat * (size + 2) + column + 1
    return flat


class Sparse:
    """Sums over the rows that have one number, found by the number.

    Args:
        keys: (r,) number of each row, at least 0.
    """

    def __init__(self, keys: Ints) -> None:
        self._size = int(keys.max(initial=-1)) + 1
        self._is_dense = self._size <= 4 * keys.size  # then counting is faster than sorting
        self._keys, self._place = (keys, keys) if self._is_dense else np.unique(keys, return_inverse=True)

    def sums(self, wanted: Ints, values: NDArray | None = None) -> Floats:
        """Of each number wanted, the sum of a value of each row, or how many rows there are; 0 where there is none."""
        if self._is_dense:
            totals = np.append(np.bincount(self._place, values, minlength=self._size), 0).astype(np.float64)
            return totals[np.where((wanted >= 0) & (wanted < self._size), wanted, self._size)]
        found = np.searchsorted(self._keys, wanted)
        is_there = np.append(self._keys, -1)[found] == wanted
        sums = np.append(np.bincount(self._place, values, minlength=self._keys.size), 0).astype(np.float64)
        return sums[np.where(is_there, found, self._keys.size)]


@dataclass(frozen=True)
class FamilySlices:
    """g slices of one family, and in which of their groups some rows are: visits with one value of each key but the names."""

    of: Ints  # (g,) group of each slice
    name: Ints  # (g,) code in predicted_id of the name that its errors are given; -1 where any wrong name counts
    group: Ints  # (r,) group of each row; -1 where it is in none
    others: tuple[str, ...]  # the keys beside the names

    @property
    def is_named(self) -> bool:
        """Whether errors are those given one name."""
        return bool((self.name >= 0).any())


def family_slices(data: SliceData, family: tuple[str, ...], codes: Ints, rows: Ints) -> FamilySlices:
    """Where the visits of some slices are.

    Args:
        data: the visits.
        family: keys of the slices.
        codes: (g, k) of their values.
        rows: (r,) indices of the visits to place.
    """
    columns = {key: codes[:, place] for place, key in enumerate(family)}
    others = tuple(key for key in family if key not in _NAMES)
    name = columns.get("predicted_id", np.full(len(codes), -1, np.int64))
    keys = others
    if "pair" in family:
        pairs, place = np.unique(columns["pair"], return_inverse=True)
        texts = [data.values["pair"][code].split(PAIR, 1) for code in pairs.tolist()]
        ends = ("true_id", "predicted_id")
        both = np.array([[bisect_left(data.values[key], text[i]) for i, key in enumerate(ends)] for text in texts])
        columns["true_id"], name = both.reshape(-1, 2)[place].T.astype(np.int64)
        keys = ("true_id", *others)
    sizes = [len(data.values[key]) for key in keys]
    found = [data.codes[key][rows] for key in keys]
    wanted, of = np.unique(
        mixed([columns[key] for key in keys] or [np.zeros_like(name)], sizes or [0]), return_inverse=True
    )
    flat = mixed(found or [np.zeros_like(rows)], sizes or [0])
    n_flat = math.prod(size + 2 for size in sizes or [0])
    if n_flat <= 4 * rows.size:  # looking up is faster than searching
        place = np.full(n_flat, -1, np.int64)
        place[wanted] = np.arange(wanted.size)
        group = place[flat]
    else:
        group = np.minimum(np.searchsorted(wanted, flat), max(wanted.size - 1, 0))
        group = np.where(wanted[group] == flat, group, -1) if wanted.size else np.full(rows.size, -1, np.int64)
    for column in found:
        group[column < 0] = -1
    return FamilySlices(of.astype(np.int64), name, group, others)

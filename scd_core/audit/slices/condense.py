"""Known exposures without what some slices do not use, so that few rows stand for millions."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from scd_core.audit.slices.data import PAIR, SliceData

__all__ = ["condensed"]

Ints = NDArray[np.int64]

_MOST_GROUPS = 1 << 62
"""Numbers of groups that an integer can hold."""


def condensed(data: SliceData, slices: Iterable[Mapping[str, str]]) -> SliceData:
    """The same visits, exposures that are in the same of some slices counted together.

    A value of a key that none of the slices has becomes one code, the number of the key's values, so that it stays known.

    Args:
        data: the visits.
        slices: key -> value of each slice.
    """
    used: dict[str, set[str]] = {}
    for values in slices:
        for key, value in values.items():
            names = value.split(PAIR, 1) if key == "pair" else [value]
            for one in ("true_id", "predicted_id") if key in ("pair", "true_id", "predicted_id") else (key,):
                used.setdefault(one, set()).update(names)
    v = data.n_visits
    columns, group, size = {}, np.zeros(data.exposure.size - v, np.int64), 1
    for key, column in data.codes.items():
        found = data.values[key]
        kept = np.zeros(len(found) + 1, bool)
        for value in used.get(key, ()):
            place = bisect_left(found, value)
            if found[place : place + 1] == [value]:
                kept[place] = True
        kept[-1] = True  # of all others
        places = np.append(np.where(kept, np.cumsum(kept), kept.sum()), 0)
        exposed = column[v:]
        columns[key] = np.where(kept[exposed] | (exposed < 0), exposed, len(found))
        n_places = int(kept.sum()) + 1
        if size > _MOST_GROUPS // n_places:
            many, group = np.unique(group, return_inverse=True)
            size = many.size
        group, size = group * n_places + places[exposed], size * n_places
    _, first, group = np.unique(group, return_index=True, return_inverse=True)
    return replace(
        data,
        exposure=np.concatenate([data.exposure[:v], np.bincount(group, data.exposure[v:], minlength=first.size)]),
        is_wrong=data.is_wrong[: v + first.size],
        codes={key: np.concatenate([codes[:v], columns[key][first]]) for key, codes in data.codes.items()},
    )

"""Simple methods on the same labels: group-by with Fisher's test and Benjamini-Hochberg, and SliceLine.

Both see labelled visits alone, each with its keys, the name that most of its labelled events are given, and whether at least half
of these are wrong; neither knows causes, weights or which slice explains which.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy import stats

from benchmarks.audit.forest.animals import Bools, Ints, given_name, true_name
from benchmarks.audit.forest.world import ForestWorld
from scd_core.audit.slices.data import PAIR

__all__ = ["Labelled", "fisher_p", "group_by", "labelled_visits", "slice_line"]

KEYS = (
    "camera_id", "deployment_id", "true_id", "predicted_id", "pair", "light", "hour", "week", "quality", "flank", "labelled_by",
)  # fmt: skip
MIN_EVENTS, MIN_ERRORS, MAX_Q = 5, 3, 0.05
_REDUNDANT = (
    {"camera_id", "deployment_id"}, {"true_id", "predicted_id"}, {"true_id", "pair"}, {"predicted_id", "pair"}, {"light", "hour"},
)  # fmt: skip
SLICES = 10
"""How many slices SliceLine returns. It always returns this many, also where nothing is wrong."""


@dataclass
class Labelled:
    """The labelled visits of a world; m visits."""

    visit: Ints  # (m,) of the world's visits
    is_wrong: Bools  # (m,)
    values: dict[str, np.ndarray]  # key -> (m,) value as slices spell it

    @property
    def error_rate(self) -> float | None:
        """Share of labelled visits that err."""
        return float(self.is_wrong.mean()) if self.visit.size else None


def labelled_visits(world: ForestWorld) -> Labelled:
    """One row for each visit with a label."""
    frames, rows = world.frames, np.flatnonzero(world.labelling.is_labelled)
    events, of = np.unique(frames.event[rows], return_inverse=True)
    wrong = np.bincount(of, frames.is_wrong[rows]) >= np.bincount(of) / 2
    visit_of = frames.visit[rows][np.searchsorted(frames.event[rows], events)]
    visit, place = np.unique(visit_of, return_inverse=True)
    is_wrong = np.bincount(place, wrong) >= np.bincount(place) / 2
    n_names = world.forest.n_known + 1
    first = frames.visit[rows].searchsorted(visit)
    name = frames.name[rows][first]  # of its first labelled frame
    votes = np.bincount(place[of] * n_names + frames.name[rows], minlength=visit.size * n_names).reshape(-1, n_names)
    # Among the names of a visit that errs, the wrong one counts that most frames are given, and the other way round.
    right = np.minimum(world.found.labelled_as[visit], world.forest.n_known)
    at = np.arange(visit.size)
    with_right = votes[at, right].copy()
    votes[at, right] = np.where(is_wrong, 0, votes[at, right])
    name = np.where(is_wrong, votes.argmax(1), np.where(with_right > 0, right, name))
    forest = world.forest
    names = np.array([given_name(one, forest) for one in range(n_names)], dtype=object)
    values = {key: column[visit] for key, column in world.keys.items() if key != "right_id"}
    animals = np.array(
        [true_name(one, world.forest) for one in range(world.forest.n_known + world.forest.n_strangers)], dtype=object
    )
    values["true_id"] = animals[world.found.labelled_as[visit]]
    values["right_id"] = names[right]
    values["predicted_id"] = names[name]
    values["pair"] = np.array(
        [f"{a}{PAIR}{b}" for a, b in zip(values["true_id"], values["predicted_id"], strict=True)], dtype=object
    )
    return Labelled(visit, is_wrong, values)


def fisher_p(x: np.ndarray, n: np.ndarray, x_all: np.ndarray | int, n_all: np.ndarray | int) -> np.ndarray:
    """One-sided p-values of Fisher's exact test that x of n is more than the rest of x_all of n_all."""
    p: np.ndarray = stats.hypergeom.sf(np.asarray(x) - 1, n_all, x_all, n)
    return p


def group_by(labelled: Labelled) -> list[tuple[dict[str, str], float]]:
    """Slices by one key or two that err more than all other labelled visits, with their q-values.

    A pair A -> B compares how often visits of A, and those of others that are not B, are called B. All groups with five visits
    count as tests, those with three errors are listed.
    """
    found: list[tuple[dict[str, str], float]] = []
    n_tests = 0
    for family in [*((key,) for key in KEYS), *combinations(KEYS, 2)]:
        if set(family) in _REDUNDANT:
            continue
        first, x, n, x_all, n_all = (_pair_counts if "pair" in family else _counts)(labelled, family)
        n_tests += int((n >= MIN_EVENTS).sum())
        listed = np.flatnonzero((n >= MIN_EVENTS) & (x >= MIN_ERRORS) & (n < labelled.visit.size))
        p = fisher_p(x[listed], n[listed], x_all[listed], n_all[listed])
        for place, one in zip(first[listed].tolist(), p.tolist(), strict=True):
            found.append(({key: str(labelled.values[key][place]) for key in family}, one))
    found.sort(key=lambda one: one[1])
    ranked = np.array([one for _, one in found]) * n_tests / np.arange(1, len(found) + 1)
    q = np.minimum.accumulate(ranked[::-1])[::-1]
    return [(values, float(one)) for (values, _), one in zip(found, q, strict=True) if one < MAX_Q]


def _groups(labelled: Labelled, keys: Sequence[str]) -> Ints:
    """(m,) a number for each distinct combination of values."""
    whole = np.zeros(labelled.visit.size, np.int64)
    for key in keys:
        values, codes = np.unique(labelled.values[key].astype(str), return_inverse=True)
        whole = whole * values.size + codes
    return whole


def _counts(labelled: Labelled, family: Sequence[str]) -> tuple[np.ndarray, ...]:
    """Of each group a member, its errors and visits, and those of all."""
    _, first, of = np.unique(_groups(labelled, family), return_index=True, return_inverse=True)
    x, n, total = np.bincount(of, labelled.is_wrong), np.bincount(of), labelled.visit.size
    return first, x, n, np.full(n.size, labelled.is_wrong.sum()), np.full(n.size, total)


def _pair_counts(labelled: Labelled, family: Sequence[str]) -> tuple[np.ndarray, ...]:
    """The same for pairs A -> B: visits of A, called B; and all visits that are not B, called B."""
    _, first, of = np.unique(_groups(labelled, family), return_index=True, return_inverse=True)
    truths = _groups(labelled, ["true_id" if key == "pair" else key for key in family])
    _, place, sizes = np.unique(truths, return_inverse=True, return_counts=True)
    called, right = labelled.values["predicted_id"].astype(str), labelled.values["right_id"].astype(str)
    n_wrong, n_right = Counter(called[labelled.is_wrong].tolist()), Counter(right.tolist())
    names = called[first].tolist()
    x_all = np.array([n_wrong[name] for name in names])
    n_all = np.array([labelled.visit.size - n_right[name] for name in names])
    return first, np.bincount(of, labelled.is_wrong), sizes[place][first], x_all, n_all


def slice_line(labelled: Labelled) -> list[dict[str, str]] | None:
    """The best slices of SliceLine (Sagadeeva and Boehm, SIGMOD 2021; the package ``sliceline``); None where it is not installed.

    At most two keys; weight of the error .95 as in the paper; at least five visits; slices with a positive score.
    """
    try:
        from sliceline.slicefinder import Slicefinder
    except ImportError:
        return None
    if not labelled.is_wrong.any():
        return []
    keys = [key for key in KEYS if key != "pair"]
    columns = np.stack([labelled.values[key].astype(str) for key in keys], axis=1).astype(object)
    finder = Slicefinder(alpha=0.95, k=SLICES, max_l=2, min_sup=MIN_EVENTS, verbose=False)
    finder.fit(columns, labelled.is_wrong.astype(float))
    found = []
    for row in finder.top_slices_[:SLICES]:
        values = {key: str(value) for key, value in zip(keys, row, strict=True) if value is not None}
        if {"true_id", "predicted_id"} <= values.keys():
            values["pair"] = f"{values.pop('true_id')}{PAIR}{values.pop('predicted_id')}"
        if values:
            found.append(values)
    return found

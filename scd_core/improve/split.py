"""Splits that keep what is judged apart from what is learnt: by camera, and by visit; never by picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Split", "split_by_camera", "split_by_place", "split_by_visit"]

Places = NDArray[np.int64]

MOST_FOLDS = 10
"""Most parts that cameras are put into; each part is left out once."""

VISIT_FOLDS = 5
"""Parts that visits are put into."""

MIN_KEPT = 0.5
"""A target left out with its camera counts where its individual keeps this share of its groups to learn from: what is known
of an individual seen at one camera alone is gone with that camera, and its names then say nothing of the model that is
written, which learns from all."""

MIN_GROUPS = 2
"""And at least so many groups."""


@dataclass(frozen=True)
class Split:
    """Targets left out, part by part."""

    folds: tuple[tuple[Places, Places], ...]
    """Targets to learn from and targets left out; no group is on both sides."""
    counts: NDArray[np.bool_]
    """(N,) targets whose names, when left out, are evidence."""

    def __iter__(self) -> Iterator[tuple[Places, Places]]:
        return iter(self.folds)


def split_by_camera(truth: Places, camera: Places, group: Places) -> Split:
    """Leave cameras out: what is known of the others decides what is named there.

    A group of pictures that are nearly one (:func:`scd_core.improve.alike.join_alike`) may lie at several cameras; what is
    like a picture that is left out is not learnt from either.

    Args:
        truth: (N,) individual of each target.
        camera: (N,) camera of each target.
        group: (N,) group of each target.
    """
    return _leave_out(_parts(camera, MOST_FOLDS), truth, group)


def split_by_place(truth: Places, camera: Places, group: Places) -> Split:
    """Leave each individual out at some cameras, whole, where others are learnt from: there a name must not come from the place.

    This is harder than a camera that nobody was learnt at, and what a camera in use is like: it is known with the animals that
    live there. In each part every individual loses about a tenth of its cameras, and every camera of its individuals.

    Args:
        truth: (N,) individual of each target.
        camera: (N,) camera of each target.
        group: (N,) group of each target.
    """
    n_parts = min(MOST_FOLDS, int(camera.max()) + 1)
    return _leave_out((truth + camera) % n_parts, truth, group)


def _leave_out(part: Places, truth: Places, group: Places) -> Split:
    folds = []
    counts = np.zeros(len(truth), bool)
    n_groups = _groups_of(truth, group, np.ones(len(truth), bool))
    for number in np.unique(part):
        is_out = part == number
        is_learnt = ~is_out & ~np.isin(group, group[is_out])
        kept = _groups_of(truth, group, is_learnt)
        is_known = kept >= np.maximum(MIN_GROUPS, MIN_KEPT * n_groups)
        counts |= is_out & is_known[truth]
        folds.append((np.flatnonzero(is_learnt), np.flatnonzero(is_out)))
    return Split(tuple(folds), counts)


def split_by_visit(truth: Places, camera: Places, group: Places) -> Split:
    """Leave groups out, wherever they lie; a target counts where its individual is learnt at the same camera.

    Args:
        truth: (N,) individual of each target.
        camera: (N,) camera of each target.
        group: (N,) group of each target.
    """
    part = _parts(group, VISIT_FOLDS, labels=truth)
    cell = truth * (int(camera.max()) + 1) + camera
    folds = []
    counts = np.zeros(len(truth), bool)
    for number in np.unique(part):
        is_out = part == number
        counts |= is_out & np.isin(cell, cell[~is_out])
        folds.append((np.flatnonzero(~is_out), np.flatnonzero(is_out)))
    return Split(tuple(folds), counts)


def _parts(key: Places, most: int, labels: Places | None = None) -> Places:
    """(N,) part of each target, all of one key in one part; parts of about equal size, or of about equal names where given."""
    keys, place, sizes = np.unique(key, return_inverse=True, return_counts=True)
    part_of = np.zeros(len(keys), np.int64)
    if labels is None:
        load = np.zeros(min(most, len(keys)), np.int64)
        for number in np.argsort(-sizes, kind="stable"):
            part_of[number] = int(load.argmin())
            load[part_of[number]] += sizes[number]
        return part_of[place]
    # Groups of one individual in turns, so that each part holds some of each.
    owner = labels[np.unique(key, return_index=True)[1]]
    shuffled = np.random.default_rng(0).permutation(len(keys))
    turn = shuffled[np.argsort(owner[shuffled], kind="stable")]
    part_of[turn] = np.arange(len(keys)) % most
    return part_of[place]


def _groups_of(truth: Places, group: Places, chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Groups of each individual among chosen targets."""
    pairs = np.unique(np.stack((truth[chosen], group[chosen])), axis=1)
    return np.bincount(pairs[0], minlength=int(truth.max()) + 1)

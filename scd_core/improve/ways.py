"""The ways to a better model that are tried, and what each was found to be worth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scd_core.improve.names import HeadKind, View
from scd_core.improve.rate import Gain, Rate, gain_of, is_beyond_chance, rate_of

__all__ = ["MAX_HOME_LOSS", "RUNNABLE", "Evidence", "Outcome", "Way", "held_by", "judge", "known_by_place"]

MAX_HOME_LOSS = 0.03
"""Share of the visits in known places that a way may name rightly less, and still be recommended."""

_LEVEL = 0.025
_MIN_PLACE_VISITS = 5
"""Fewest visits of a camera, or of an individual, that may be called the worst."""

RUNNABLE = (View.WHOLE, View.BOX_CROP, View.WIDE_CROP, View.WIDER_CROP)
"""Views that `trapaudit run` names by."""


@dataclass(frozen=True)
class Way:
    """A view, named by the model itself or by a new head that learnt from the same view."""

    view: View
    head: HeadKind | None = None
    keep: float = 0.0
    """Weight of the model as it is run beside the new head, at the same spread of scores."""
    by_frame: bool = False
    """The whole frame is shown to the network as well."""

    @property
    def key(self) -> str:
        """Its name, such as ``box_crop``, ``class_means:box_crop``; with the model as it is run ``class_means+0.6:wide_crop``."""
        if self.head is None:
            return str(self.view)
        return f"{self.head}{f'+{self.keep:g}' if self.keep else ''}:{self.view}"

    @property
    def can_run(self) -> bool:
        """`trapaudit run` can name pictures in this way, so a package can be written of it."""
        return self.view in RUNNABLE


@dataclass(frozen=True)
class Evidence:
    """Which targets judge a way, and how they hang together."""

    in_new: NDArray[np.bool_]
    """(N,) targets that judge names in places that were not learnt from, by the labels' heads or by MODEL."""
    at_home: NDArray[np.bool_]
    """(N,) targets that judge names in places that were."""
    is_held: NDArray[np.bool_]
    """(N,) those of them where the model as it is run is at home: it names the individual's other visits there rightly."""
    group: NDArray[np.int64]
    """(N,) group of like pictures."""
    cell: NDArray[np.int64]
    """(N,) individual and camera."""
    truth: NDArray[np.int64]
    camera: NDArray[np.int64]


@dataclass(frozen=True)
class Outcome:
    """What a way is worth on targets that it did not learn from."""

    way: Way
    new: Rate
    """Right in places that were not learnt from."""
    home: Rate
    """Right in places that were, other visits."""
    gain: Gain
    """In such new places, against the model as it is run."""
    home_gain: Gain
    held_gain: Gain
    """Where the model as it is run is right at home; a loss is below 0."""
    kept: Rate
    """Right, of what the model as it is run names rightly in such new places."""
    worst_camera: tuple[int, Rate] | None
    """Camera with the lowest share among those of 5 visits or more, in new places; None where no camera has so many."""
    worst_individual: tuple[int, Rate] | None
    seconds: float
    """To fit and to judge it, without reading the pictures."""
    needs: str
    level: float
    """Of the intervals, 0-1."""
    home_margin: float | None
    """How safe its names are where the model as it is run is at home; None where too few visits show it."""

    @property
    def is_better(self) -> bool:
        """Better than the model as it is run, beyond chance, and not worse by more than 3 points where that is at home.

        The interval of the gain lies above 0, and of the visits that differ more are won than chance explains (exact sign
        test, one-sided, .025).
        """
        return self.is_gain and not self.loses_home

    @property
    def is_gain(self) -> bool:
        """The gain in new places is beyond chance."""
        return is_beyond_chance(self.gain, _LEVEL)

    @property
    def home_loss(self) -> float:
        """Share of visits that are lost at home, or where the model as it is run is at home, whichever is more; 0-1."""
        return max([0.0, *(-one.value for one in (self.home_gain, self.held_gain) if one.value < 0)])

    @property
    def loses_home(self) -> bool:
        """More is lost at home than a way that is recommended may lose."""
        return self.home_loss > MAX_HOME_LOSS


def held_by(
    before: NDArray[np.bool_], at_home: NDArray[np.bool_], group: NDArray[np.int64], cell: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """(N,) targets where a model is at home: it names rightly more than half of the individual's *other* groups there.

    A target's own name does not count, so that the model's lucky names are not held against another.

    Args:
        before: (N,) whether it names each rightly.
        at_home: (N,) targets whose individual is learnt at the same camera.
        group: (N,) group of each.
        cell: (N,) individual and camera of each.
    """
    return _others_right(before, group, cell) & at_home


def known_by_place(
    before: NDArray[np.bool_], truth: NDArray[np.int64], group: NDArray[np.int64], cell: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """(N,) targets of individuals that a model knows at their camera and nowhere else: what it learnt there no split leaves out.

    It names rightly more than half of the individual's *other* groups at that camera, and half or fewer of those at other
    cameras. The target's own name does not count, so that the shares of the targets that are left are not made smaller.

    Args:
        before: (N,) whether the model names each rightly.
        truth: (N,) individual of each.
        group: (N,) group of each.
        cell: (N,) individual and camera of each.
    """
    known = _others_right(before, group, cell)
    for one in np.unique(cell[known]):
        inside = cell == one
        elsewhere = before[(truth == truth[inside][0]) & ~inside]
        known[inside] &= len(elsewhere) > 0 and elsewhere.mean() <= 0.5
    return known


def _others_right(before: NDArray[np.bool_], group: NDArray[np.int64], cell: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(N,) targets of whose cell more than half of the other groups are named rightly; not where there is no other."""
    found = np.zeros(len(before), bool)
    for one in np.unique(cell):
        inside = np.flatnonzero(cell == one)
        groups, place = np.unique(group[inside], return_inverse=True)
        shares = np.bincount(place, before[inside]) / np.bincount(place)
        others = (shares.sum() - shares) / max(1, len(groups) - 1)
        found[inside] = (others > 0.5)[place] & (len(groups) > 1)
    return found


def judge(
    way: Way,
    right: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    before: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    evidence: Evidence,
    seconds: float,
    needs: str,
    n_ways: int = 1,
    home_margin: float | None = None,
) -> Outcome:
    """What a way is worth.

    Args:
        way: the way.
        right: (N,) whether each target is named rightly where its camera was left out, and where its group was.
        before: the same of the model as it is run.
        evidence: which targets count.
        seconds: that it took.
        needs: what must be there to use it, in words.
        n_ways: ways among which one is chosen; 95 % intervals hold for all of them at once (Bonferroni), so for the best as well.
        home_margin: how safe its names at home are (:func:`scd_core.improve.attempts.home_margin`).
    """
    level = 1 - 0.05 / n_ways
    new, home, held = evidence.in_new, evidence.at_home, evidence.is_held
    group, cell = evidence.group, evidence.cell

    def worst(key: NDArray[np.int64]) -> tuple[int, Rate] | None:
        rates = [
            (int(one), rate_of(right[0][chosen], group[chosen], cell[chosen]))
            for one in np.unique(key[new])
            for chosen in [np.flatnonzero(new & (key == one))]
        ]
        counted = [one for one in rates if one[1].n >= _MIN_PLACE_VISITS]
        return min(counted, key=lambda one: (one[1].value, one[0]), default=None)

    return Outcome(
        way,
        rate_of(right[0][new], group[new], cell[new], level, evidence.camera[new]),
        rate_of(right[1][home], group[home], cell[home], level, evidence.camera[home]),
        gain_of(before[0][new], right[0][new], group[new], cell[new], level),
        gain_of(before[1][home], right[1][home], group[home], cell[home], level),
        gain_of(before[1][held], right[1][held], group[held], cell[held], level),
        rate_of(right[0][new & before[0]], group[new & before[0]], cell[new & before[0]]),
        worst(evidence.camera),
        worst(evidence.truth),
        seconds,
        needs,
        level,
        home_margin,
    )

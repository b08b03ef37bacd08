"""Which way to recommend, and what it is expected to do without the luck of having been chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from scd_core.improve.names import Preference
from scd_core.improve.rate import Rate, rate_of
from scd_core.improve.ways import Evidence, Outcome

__all__ = ["expected_of", "find_best"]

SHARE_OF_GAIN = 0.8
"""Share of the largest gain in new places that a way must have to be recommended for what it keeps at home."""

_DRAWS = 400


def find_best(outcomes: Sequence[Outcome], prefer: Preference = Preference.HOME) -> Outcome | None:
    """The way to recommend among those that `trapaudit run` can take and that are better; None where there is none.

    ``home``: of those with .8 of the largest gain in new places, the one whose names are safest where the model is at home
    (``Outcome.home_margin``). ``new-places``, and where no visit shows a home: the one right most often in new places. Ways that
    are equal: the one that is right most often at home, then the first.

    Args:
        outcomes: all ways.
        prefer: which of the better ones.
    """
    better = [one for one in outcomes if one.way.can_run and one.is_better]
    if not better:
        return None
    gains = np.array([one.gain.value for one in better])
    ranks = [(one.new.value, one.home.value) for one in better]
    return better[_choose(gains, _margins(better, prefer), ranks)]


def expected_of(
    best: Outcome,
    outcomes: Sequence[Outcome],
    rights: Mapping[str, NDArray[np.bool_]],
    evidence: Evidence,
    prefer: Preference = Preference.HOME,
) -> Rate:
    """What share the recommended way is expected to name rightly in new places.

    The best of several looks better than it is. Visits are drawn with replacement, a way is chosen by those that are drawn, and
    judged by those that are not (bootstrap bias correction, Tsamardinos, Greasidou and Borboudakis, Machine Learning 2018); where
    that is less on average than the way's own share, the interval is laid around it.

    Args:
        best: the way.
        outcomes: all ways.
        rights: key of a way -> (N,) whether it names each target rightly where its camera was left out.
        evidence: which targets count.
        prefer: how it was chosen.
    """
    new = evidence.in_new
    groups, place = np.unique(evidence.group[new], return_inverse=True)
    candidates = [one for one in outcomes if one.way.can_run and not one.loses_home]
    shares = np.stack([np.bincount(place, rights[one.way.key][new]) / np.bincount(place) for one in candidates])
    before = np.bincount(place, rights[outcomes[0].way.key][new]) / np.bincount(place)
    margins = _margins(candidates, prefer)
    rng = np.random.default_rng(0)
    left_out = []
    for _ in range(_DRAWS):
        drawn = np.bincount(rng.integers(0, len(groups), len(groups)), minlength=len(groups))
        rates = shares @ drawn / len(groups)
        chosen = _choose(rates - before @ drawn / len(groups), margins, [(rate, 0.0) for rate in rates.tolist()])
        out = drawn == 0
        if out.any():
            left_out.append(float(shares[chosen, out].mean()))
    value = min([best.new.value, *([float(np.mean(left_out))] if left_out else [])])
    level = best.level
    return rate_of(
        rights[best.way.key][new], evidence.group[new], evidence.cell[new], level, evidence.camera[new], value
    )


def _margins(outcomes: Sequence[Outcome], prefer: Preference) -> NDArray[np.float64] | None:
    """How safe each is at home; None where that does not decide."""
    found = [one.home_margin for one in outcomes]
    if prefer != Preference.HOME or all(one is None for one in found):
        return None
    return np.array([-np.inf if one is None else one for one in found])


def _choose(
    gains: NDArray[np.float64], margins: NDArray[np.float64] | None, ranks: Sequence[tuple[float, float]]
) -> int:
    """Place of the way to take."""
    best = max(range(len(ranks)), key=lambda place: ranks[place])
    if margins is None:
        return best
    allowed = np.flatnonzero(gains >= SHARE_OF_GAIN * gains.max())
    return max(allowed.tolist(), key=lambda place: (margins[place], ranks[place])) if len(allowed) else best

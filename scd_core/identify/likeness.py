"""How alike the pictures of two individuals are, beside those of each one: the ratio that suspicions of names rest on."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scd_core.identify.whitening import Space, fit_whitening, group_space

__all__ = ["FEWEST", "Alike", "halves_alike", "halves_of", "pairs_alike"]

FEWEST = 4
"""Pictures of a name with fewer of which nothing is said; a half has 2 or more."""

_FOLDS = 10
_FITTED = 600
"""Pictures that a whitening is fitted to, at most."""


@dataclass(frozen=True)
class Alike:
    """Two groups of pictures, and how alike they are."""

    first: NDArray[np.int64]
    """Places of the pictures of the one."""
    second: NDArray[np.int64]
    """Places of the pictures of the other."""
    ratio: float
    """Mean similarity between the two over that within them: near 1 for one individual, near 0 for two."""


def pairs_alike(features: NDArray[np.floating], names: Sequence[str]) -> dict[tuple[str, str], Alike]:
    """For each two names, the mean similarity of their pictures over that of pictures of one name.

    Names are compared by a whitening that was fitted without them: a whitening draws the pictures of a name together, also
    those of a name that is only half an individual.

    Args:
        features: (N, D), of any length.
        names: N names; those with fewer than 4 pictures are left out.

    Returns:
        (name, name) in order -> how alike they are; without pairs whose own pictures are not alike at all.
    """
    own = np.array(names)
    folds = _folds(names)
    found: dict[tuple[str, str], Alike] = {}
    for first, second in itertools.combinations_with_replacement(sorted(set(folds.values())), 2):
        held = sorted(name for name in folds if folds[name] in (first, second))
        space = _space_without(features, own, held)
        units = {name: space(features[own == name]).astype(np.float64) for name in held}
        sums = {name: unit.sum(0) for name, unit in units.items()}
        for one, other in itertools.combinations(held, 2):
            if {folds[one], folds[other]} != {first, second}:
                continue
            ratio = _ratio(sums[one], len(units[one]), sums[other], len(units[other]))
            if ratio is not None:
                found[one, other] = Alike(np.flatnonzero(own == one), np.flatnonzero(own == other), ratio)
    return found


def halves_alike(
    features: NDArray[np.floating], names: Sequence[str], flanks: Sequence[str | None] | None = None
) -> dict[str, Alike]:
    """For each name, how alike the two halves are that its pictures fall into best.

    Pictures of a left and a right flank differ, though they are of one individual, so only those of one flank are compared: of
    the one that most of the name's pictures show.

    Args:
        features: (N, D), of any length.
        names: N names; those with fewer than 4 pictures of one flank are left out.
        flanks: of each picture; None where it is not known.

    Returns:
        Name -> the two halves (by k-means, seeded); without names of which a half is one picture alone.
    """
    own, sides = np.array(names), list(flanks or [None] * len(names))
    folds = _folds(names)
    found: dict[str, Alike] = {}
    for fold in sorted(set(folds.values())):
        held = sorted(name for name in folds if folds[name] == fold)
        space = _space_without(features, own, held)
        for name in held:
            places = np.flatnonzero(own == name)
            most = Counter(sides[place] for place in places).most_common(1)[0][0]
            places = np.array([place for place in places if sides[place] == most], dtype=np.int64)
            alike = halves_of(places, space(features[places])) if len(places) >= FEWEST else None
            if alike is not None:
                found[name] = alike
    return found


def halves_of(places: NDArray[np.int64], unit: NDArray[np.float32]) -> Alike | None:
    """The two halves that pictures fall into best, by k-means with a seed; None where one of them has a single picture.

    Args:
        places: (N,), of the pictures.
        unit: (N, D) of unit length.
    """
    from sklearn.cluster import KMeans  # slow to import

    if len(np.unique(unit.round(5), axis=0)) < 2:  # equal pictures prove nothing
        return None
    side = KMeans(2, n_init=5, random_state=0).fit(unit).labels_ == 0
    if min(int(side.sum()), int((~side).sum())) < 2:
        return None
    exact = unit.astype(np.float64)
    ratio = _ratio(exact[side].sum(0), int(side.sum()), exact[~side].sum(0), int((~side).sum()))
    return None if ratio is None else Alike(places[side], places[~side], ratio)


def _ratio(first: NDArray[np.float64], n: int, second: NDArray[np.float64], m: int) -> float | None:
    """Mean similarity between two groups over that within them, by the sums of their embeddings of unit length."""
    within = (float(first @ first) - n + float(second @ second) - m) / (n * (n - 1) + m * (m - 1))
    return float(first @ second) / (n * m) / within if within > 1e-6 else None


def _folds(names: Sequence[str]) -> dict[str, int]:
    """Names with enough pictures -> number of a fold, as equal as possible."""
    kinds = [name for name, n in sorted(Counter(names).items()) if n >= FEWEST]
    order = np.random.default_rng(0).permutation(len(kinds))
    return {kinds[place]: number % min(_FOLDS, len(kinds)) for number, place in enumerate(order)}


def _space_without(features: NDArray[np.floating], own: NDArray[np.str_], held: Sequence[str]) -> Space:
    """How pictures are compared, fitted to those of other names."""
    rest = np.flatnonzero(~np.isin(own, held))
    rest = np.sort(np.random.default_rng(0).permutation(rest)[:_FITTED])
    whitening = fit_whitening(features[rest], own[rest].tolist()) if len(rest) else None
    return group_space(whitening, features[rest] if len(rest) else features)

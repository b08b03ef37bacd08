"""How alike two groups of pictures must be to be one individual: settings from hiding known individuals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scd_core.identify.linkage import average_linkage
from scd_core.identify.whitening import (
    Space,
    Whitening,
    fit_whitening,
    group_space,
    hidden_groups,
    is_better_than_plain,
)

__all__ = ["PLAIN_SIMILARITY", "Grouping", "find_similarity", "fit_grouping"]

PLAIN_SIMILARITY = 0.2
"""Mean similarity from which two groups are one where too few individuals are known to find it by hiding some."""

_GRID = np.round(np.arange(-0.1, 0.71, 0.04), 2)
_NEARLY = 0.95
"""Of the best agreement: the middle of all limits that reach it is taken, since the best one alone is partly luck."""

_OF_A_NAME = 20
_MOST = 1000
"""Pictures of a name, and of all names, that a grouping is fitted to."""


@dataclass(frozen=True)
class Grouping:
    """How unknowns are compared, and from which mean similarity they are one individual."""

    space: Space
    similarity: float


def find_similarity(groups: Sequence[tuple[NDArray[np.float32], NDArray[np.str_]]]) -> float | None:
    """The mean similarity from which groups are joined that parts hidden individuals best.

    Args:
        groups: what :func:`scd_core.identify.whitening.hidden_groups` gives.

    Returns:
        The middle of the limits whose mean adjusted Rand index is nearly the best; None without groups.
    """
    if not groups:
        return None
    from sklearn.metrics import adjusted_rand_score  # slow to import, and most batches need none

    agreement = np.zeros(len(_GRID))
    for unit, names in groups:
        alone = np.ones(len(unit))
        found = [adjusted_rand_score(names, average_linkage(unit, alone, float(limit))) for limit in _GRID]
        agreement += np.array(found) / len(groups)
    if agreement.max() <= 0:
        return None
    return float(_GRID[agreement >= _NEARLY * agreement.max()].mean())


def fit_grouping(
    features: NDArray[np.floating],
    names: Sequence[str],
    pictures: NDArray[np.floating],
    whitening: Whitening | None = None,
    similarity: float | None = None,
) -> Grouping:
    """How the unknowns of an audit are grouped.

    Args:
        features: (N, D) of pictures whose individual is known well enough.
        names: N individuals.
        pictures: (M, D) of pictures at hand, known or not, whose mean is taken off.
        whitening: of the package; None fits one to `features`, where it is no worse than plain cosine on held-out individuals.
        similarity: of the package; None finds it by hiding known individuals, or else takes :data:`PLAIN_SIMILARITY`.
    """
    kept = _some_of_each(names)
    features, names = features[kept], [names[place] for place in kept]
    if whitening is None:
        found = fit_whitening(features, names)
        whitening = found if found is not None and is_better_than_plain(features, names) else None
    if similarity is None:
        similarity = find_similarity(hidden_groups(features, names)) if len(names) else None
    space = group_space(whitening, pictures)
    return Grouping(space, PLAIN_SIMILARITY if similarity is None else similarity)


def _some_of_each(names: Sequence[str]) -> list[int]:
    """Places of at most 20 pictures of each name, and of at most 1 000 in all."""
    counts: dict[str, int] = {}
    kept: list[int] = []
    for place in np.random.default_rng(0).permutation(len(names)).tolist():
        if counts.get(names[place], 0) < _OF_A_NAME and len(kept) < _MOST:
            counts[names[place]] = counts.get(names[place], 0) + 1
            kept.append(place)
    return sorted(kept)

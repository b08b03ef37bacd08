"""Statistics of pairs: McNemar's exact test, the interval of the difference of two rates of one sample, labels needed."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

__all__ = ["Paired", "mcnemar", "paired_counts", "pairs_needed"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Paired:
    """How often two models are right and wrong on the same visits."""

    n: int
    """Visits."""
    both: int
    only_old: int
    """The old model alone is right: the new one spoils them."""
    only_new: int
    """The new model alone is right: it mends them."""
    neither: int
    shares: tuple[float, float, float, float]
    """The same four in that order, as shares of all visits: each weighted by how likely it was to be labelled."""
    old_rate: float
    new_rate: float
    """Weighted error rates, 0-1."""
    difference: float
    """New rate less old rate: below 0 the new model errs less."""
    low: float
    high: float
    """Interval of the difference."""
    n_effective: float
    """Equally weighted visits, of those that they name differently where these are known, that would give it as exactly."""
    p_value: float
    """Of McNemar's exact test, two-sided, on the visits as they are."""


def paired_counts(
    old_wrong: Bools,
    new_wrong: Bools,
    weight: Floats,
    confidence: float = 0.95,
    differ: Bools | None = None,
    share: float = 1.0,
) -> Paired:
    """Count pairs, and compare the two error rates.

    The interval is Agresti and Min's for matched pairs (Statistics in Medicine 2005): half a pair is added to each of the
    four cells, then Wald's. Weighted pairs enter as their effective number, the square of the sum of the weights over the sum
    of their squares (Kish), so a weighted sample has a wider interval.

    Where the models give one name, neither is better. So with `differ` the difference is that of the visits which they name
    differently, times their share of all visits, which is known without labels. Then it does not matter how many of these are
    labelled against the others, as long as they are drawn at random among themselves.

    Args:
        old_wrong: (n,) visits that the old model errs on.
        new_wrong: (n,) the same of the new one.
        weight: (n,) events that each visit stands for, >= 0; where all are 0 the visits count equally.
        confidence: level of the interval, 0-1.
        differ: (n,) visits that the models name differently; None takes all visits as one sample.
        share: of all visits that both named, those that they name differently, 0-1.

    >>> found = paired_counts(np.array([True] * 8 + [False] * 12), np.array([False] * 19 + [True]), np.ones(20))
    >>> found.only_new, found.only_old, round(found.difference, 2), round(found.p_value, 4)
    (8, 1, -0.35, 0.0391)
    """
    n = old_wrong.size
    weight = weight if weight.sum() > 0 else np.ones(n)
    cells = (~old_wrong & ~new_wrong, ~old_wrong & new_wrong, old_wrong & ~new_wrong, old_wrong & new_wrong)
    inside = np.ones(n, bool) if differ is None else differ
    of_inside, of_outside = (_shares(cells, np.where(part, weight, 0.0)) for part in (inside, ~inside))
    part = share if differ is not None else 1.0
    # A part of which nothing is labelled is taken to be as the other one is.
    shares = [
        part * a + (1 - part) * b for a, b in zip(of_inside or of_outside or _NONE, of_outside or of_inside or _NONE)
    ]
    kept = weight[inside]
    effective = float(kept.sum()) ** 2 / max(float((kept**2).sum()), 1e-300) if kept.size else 0.0
    spoilt, mended = (one * effective + 0.5 for one in (of_inside or _NONE)[1:3])
    whole = effective + 2.0
    centre = part * (spoilt - mended) / whole
    spread = part * math.sqrt(max(spoilt + mended - (spoilt - mended) ** 2 / whole, 0.0)) / whole
    z = float(special.ndtri(0.5 + confidence / 2))
    b, c = int(cells[1].sum()), int(cells[2].sum())
    return Paired(
        n, int(cells[0].sum()), b, c, int(cells[3].sum()),
        (shares[0], shares[1], shares[2], shares[3]),
        old_rate=shares[2] + shares[3],
        new_rate=shares[1] + shares[3],
        difference=shares[1] - shares[2],
        low=max(-part, centre - z * spread),
        high=min(part, centre + z * spread),
        n_effective=effective,
        p_value=min(1.0, 2 * float(min(mcnemar(b, c), mcnemar(c, b)))),
    )  # fmt: skip


_NONE = (1.0, 0.0, 0.0, 0.0)


def _shares(cells: tuple[Bools, ...], weight: Floats) -> tuple[float, ...] | None:
    """Weighted shares of the four cells; None where nothing has a weight."""
    total = float(weight.sum())
    return tuple(float(weight[cell].sum()) / total for cell in cells) if total > 0 else None


def mcnemar(more: ArrayLike, fewer: ArrayLike) -> Floats:
    """One-sided p-value of McNemar's exact test: of at least `more` of the visits on which two models differ, by chance.

    >>> round(float(mcnemar(8, 1)), 6), float(mcnemar(0, 0))
    (0.019531, 1.0)
    """
    x, y = np.broadcast_arrays(np.asarray(more, float), np.asarray(fewer, float))
    # P(X >= x) of X ~ Binomial(x + y, 1/2) is the incomplete beta function at 1/2.
    return np.where(x > 0, special.betainc(np.maximum(x, 1e-9), y + 1, 0.5), 1.0)


def pairs_needed(only_old: int, only_new: int, level: float = 0.05, power: float = 0.8) -> int | None:
    """Further visits on which the models differ, until McNemar's test settles which is better, if they differ as so far.

    Args:
        only_old: visits on which the old model alone is right.
        only_new: the same of the new one.
        level: of the two-sided test.
        power: chance that it then passes.

    Returns:
        At least 1; None where they are right equally often, so that no number would do.

    >>> pairs_needed(2, 8), pairs_needed(3, 3)
    (14, None)
    """
    share = (max(only_old, only_new) + 0.5) / (only_old + only_new + 1)
    if share <= 0.5 or only_old == only_new:
        return None
    z_level, z_power = special.ndtri(1 - level / 2), special.ndtri(power)
    whole = ((z_level / 2 + z_power * math.sqrt(share * (1 - share))) / (share - 0.5)) ** 2
    return max(1, math.ceil(whole) - only_old - only_new)

"""Shares of visits with intervals that know how alike pictures of one visit, and of one animal at one camera, are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from scd_core.audit.slices.statistics import wilson_interval

__all__ = ["Gain", "Rate", "gain_of", "is_beyond_chance", "rate_of"]


@dataclass(frozen=True)
class Rate:
    """A share of visits, 0-1, with its interval."""

    value: float
    low: float
    high: float
    n: int
    """Visits that it stands on."""


@dataclass(frozen=True)
class Gain:
    """How much larger one share is than another on the same visits, -1 to 1, with its interval."""

    value: float
    low: float
    high: float
    n_won: int
    """Visits that are more often right."""
    n_lost: int
    """Visits that are less often right."""


def rate_of(
    is_right: NDArray[np.bool_],
    visit: NDArray[np.int64],
    cell: NDArray[np.int64],
    confidence: float = 0.95,
    camera: NDArray[np.int64] | None = None,
    value: float | None = None,
) -> Rate:
    """Mean over visits of the share of pictures that are right.

    Wilson's interval at an effective number of visits: by the variance between visits, between cells and between cameras,
    whichever is largest (Korn and Graubard, Survey Methodology 1998), never more than there are visits; with Student's quantile
    at as many degrees of freedom as there are such clusters, less one.

    Args:
        is_right: (N,) of each picture.
        visit: (N,) visit, or group of like pictures, of each.
        cell: (N,) individual and camera of each: what its visits share.
        confidence: level of the interval, 0-1.
        camera: (N,) camera of each; None where cameras are no clusters.
        value: the share to put the interval around; None is the mean itself.

    >>> rate = rate_of(np.array([True, True, False, True]), np.array([0, 0, 1, 2]), np.array([0, 0, 1, 2]))
    >>> round(rate.value, 3), rate.n
    (0.667, 3)
    """
    shares, visits, cells = _by_visit(is_right.astype(float), visit, cell)
    n = len(shares)
    if not n:
        return Rate(float("nan"), 0.0, 1.0, 0)
    mean = float(shares.mean())
    levels = [visits, cells]
    if camera is not None:
        levels.append(camera[np.unique(visit, return_index=True)[1]])
    variance, n_clusters = max((_variance(shares, one), len(np.unique(one))) for one in levels)
    effective = min(float(n), mean * (1 - mean) / variance) if variance > 0 else float(n)
    quantile = float(stats.t.ppf(0.5 + confidence / 2, max(1, n_clusters - 1 if variance > 0 else n - 1)))
    value = mean if value is None else value
    low, high = wilson_interval(value, effective, 2 * float(stats.norm.cdf(quantile)) - 1)
    return Rate(value, float(low), float(high), n)


def gain_of(
    before: NDArray[np.bool_],
    after: NDArray[np.bool_],
    visit: NDArray[np.int64],
    cell: NDArray[np.int64],
    confidence: float = 0.95,
) -> Gain:
    """Difference of the mean shares of `after` and `before`, paired by visit.

    The interval is Student's over visits, or over cells where that is wider. Where no visit differs it is as wide as one
    visit, either way, would make it.

    Args:
        before: (N,) whether each picture is right.
        after: (N,) the same, otherwise named.
        visit: (N,) visit, or group of like pictures, of each.
        cell: (N,) individual and camera of each.
        confidence: level of the interval, 0-1.
    """
    differences, visits, cells = _by_visit(after.astype(float) - before.astype(float), visit, cell)
    n = len(differences)
    if not n:
        return Gain(float("nan"), -1.0, 1.0, 0, 0)
    value = float(differences.mean())
    deviation = max(_variance(differences, visits), _variance(differences, cells), (1 / n) ** 2) ** 0.5
    half = float(stats.t.ppf(0.5 + confidence / 2, max(1, len(np.unique(cells)) - 1))) * deviation
    won, lost = int((differences > 0).sum()), int((differences < 0).sum())
    return Gain(value, max(-1.0, value - half), min(1.0, value + half), won, lost)


def is_beyond_chance(gain: Gain, level: float) -> bool:
    """The gain's interval lies above 0, and of the visits that differ more are won than chance explains.

    Args:
        gain: with its interval.
        level: of the exact sign test, one-sided, 0-1.
    """
    n = gain.n_won + gain.n_lost
    return n > 0 and gain.low > 0 and float(stats.binom.sf(gain.n_won - 1, n, 0.5)) < level


def _by_visit(
    values: NDArray[np.floating], visit: NDArray[np.int64], cell: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Mean of each visit, its number, and the cell of its first picture; like pictures at several cameras are one."""
    visits, first, place = np.unique(visit, return_index=True, return_inverse=True)
    return np.bincount(place, values) / np.bincount(place), visits, cell[first]


def _variance(values: NDArray[np.float64], cluster: NDArray[np.int64]) -> float:
    """Variance of the mean of values whose clusters are drawn, with the correction for few clusters."""
    clusters, place = np.unique(cluster, return_inverse=True)
    if len(clusters) < 2:
        return 0.0
    sums = np.bincount(place, values - values.mean())
    return float((sums**2).sum() / len(values) ** 2 * len(clusters) / (len(clusters) - 1))

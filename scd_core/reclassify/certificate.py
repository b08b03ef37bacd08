"""Whether labels show that suggested names make few right names wrong: Learn then Test, however often it is looked at."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["LEVELS", "Certificate", "certify", "log_evidence"]

LEVELS = (0.99, 0.95, 0.9, 0.8, 0.6, 0.0)
"""Probabilities from which on suggestions may be taken, tested in this order until one fails."""

_STAKES = (1.0, 0.8)
"""Shares of the largest stake: the first wins most where nothing is broken, the second outlives a broken name."""

_MOST_LABELS = 10_000_000


@dataclass(frozen=True)
class Certificate:
    """What the labels of one model show of its suggestions."""

    min_probability: float | None
    """Suggestions with at least this probability become the final name; None where the labels do not show enough."""
    n_labels: int
    """Right names that count, one a visit."""
    n_broken: int
    """Of these, made wrong by suggestions from `min_probability` on; where that is None, from the strictest level on."""
    n_needed: int | None
    """Labels of right names that are needed in addition, if no suggestion breaks one; None where certified."""


def certify(
    probability: NDArray[np.float64], weights: NDArray[np.float64], max_broken: float, certain: float
) -> Certificate:
    """The lowest level of :data:`LEVELS` at which suggestions are shown to break few right names.

    Learn then Test (Angelopoulos, Bates, Candes, Jordan, Lei 2021): the levels are a fixed sequence of hypotheses "from this
    probability on, suggestions break more than `max_broken` of the right names"; each is tested, from the strictest, and the
    first that is not rejected ends the sequence. So the chance that any rejected one is true is at most ``1 - certain``,
    although the level is chosen on the same labels.

    Args:
        probability: (N,) for each right name the probability of the suggestion that would break it, 0-1; nan where none would.
        weights: (N,) how many right names each stands for, above 0; equal where labels were drawn alike.
        max_broken: largest share of right names that may be made wrong, above 0 and below 1.
        certain: confidence, 0-1.
    """
    certified, n_broken = None, 0
    least = -math.log1p(-certain)
    for level in LEVELS:
        broken = np.nan_to_num(probability, nan=-1.0) >= level
        if log_evidence(broken, weights, max_broken) < least:
            break
        certified, n_broken = level, int(broken.sum())
    if certified is not None:
        return Certificate(certified, len(probability), n_broken, None)
    broken = np.nan_to_num(probability, nan=-1.0) >= LEVELS[0]
    needed = _labels_needed(broken, weights, max_broken, least)
    return Certificate(None, len(probability), int(broken.sum()), needed)


def log_evidence(broken: NDArray[np.bool_], weights: NDArray[np.float64], max_broken: float, n_more: int = 0) -> float:
    """Logarithm of the evidence that less than a share of right names is broken.

    A bet against "the share is `max_broken` or more" (Waudby-Smith, Ramdas 2024): each label multiplies the stake by
    ``1 - s z (x - a)``, with x 1 where the name is broken, a the share, z the weight over the largest one and s the bet. If
    the share is a or more, this gains nothing on average, so the chance that it ever reaches ``1 / d`` is at most d, however
    often labels are added and looked at; the exact binomial test of a fixed number does not have this, and needs a quarter
    fewer labels. With equal weights it is the likelihood ratio against a smaller share. The mean of two bets is one as well.

    Args:
        broken: (N,) names that would be made wrong.
        weights: (N,) above 0.
        max_broken: the share, above 0 and below 1.
        n_more: labels that come in addition, of mean weight, none of them broken.

    Returns:
        0 without labels; -inf where no bet has anything left.
    """
    share = weights / weights.max() if len(weights) else weights
    z = np.append(share, share.mean() if len(share) else 1.0)
    gain = z * (np.append(broken, False) - max_broken)
    times = np.append(np.ones(len(share)), float(n_more))
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = [np.log1p(-np.minimum(stake / (1 - max_broken) * gain, 1.0)) for stake in _STAKES]
    totals = np.array([float(np.where(times > 0, times * log, 0.0).sum()) for log in logs])
    top = totals.max()
    return float(top + np.log(np.exp(totals - top).mean())) if np.isfinite(top) else -math.inf


def _labels_needed(
    broken: NDArray[np.bool_], weights: NDArray[np.float64], max_broken: float, least: float
) -> int | None:
    """Fewest labels in addition with which the evidence is enough; None where no number that anyone labels is."""
    low, high = 0, 1
    while log_evidence(broken, weights, max_broken, high) < least:
        low, high = high, 2 * high
        if high > _MOST_LABELS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if log_evidence(broken, weights, max_broken, middle) < least else (low, middle)
    return high

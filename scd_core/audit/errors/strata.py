"""Whether errors fall on one group by chance, by an exact test over strata of visits that are alike."""

from __future__ import annotations

import numpy as np
from scipy.special import betaln

__all__ = ["hypergeometric", "is_clearly_more", "least_p_value", "log_choose", "stratified_p_value"]

_FEWEST = 3
"""Visits of the others, at least."""


def is_clearly_more(most: float, x: int, n: int, x_others: int, n_others: int) -> bool:
    """Whether x of n visits are so many more than x_others of n_others that a test is worth it.

    Args:
        most: share of the group's rate that the others' may have, 0-1.
        x: visits of a group that err.
        n: its visits, above 0.
        x_others: visits of the others that err.
        n_others: their visits; of fewer than 3 nothing is said.
    """
    return n_others >= _FEWEST and x_others / n_others <= most * x / n


def stratified_p_value(x: np.ndarray, n: np.ndarray, x_others: np.ndarray, n_others: np.ndarray) -> float:
    """Exact one-sided p-value that a group errs no more often than the others of the same strata.

    Given how many err in each stratum, the number of them that fall on the group is hypergeometric; the p-value is the
    probability of a sum at least as large (the exact form of Cochran's, Mantel's and Haenszel's test).

    Args:
        x: (s,) visits of the group that err, by stratum.
        n: (s,) visits of the group.
        x_others: (s,) visits of the others that err.
        n_others: (s,) visits of the others.

    Returns:
        The p-value, 0-1; 1 without a stratum.

    >>> round(stratified_p_value(*np.array([[3], [3], [0], [3]])), 3)
    0.05
    """
    chances = np.ones(1)
    for of, all_of, wrong, all_others in zip(x, n, x_others, n_others, strict=True):
        if of + wrong > 0:
            chances = np.convolve(chances, hypergeometric(int(of + wrong), int(all_of), int(all_others)))
    return float(min(1.0, chances[int(np.sum(x)) :].sum()))


def least_p_value(x: np.ndarray, n: np.ndarray, x_others: np.ndarray, n_others: np.ndarray) -> float:
    """The smallest p-value that :func:`stratified_p_value` could have, had as many errors as can be fallen on the group.

    A test that cannot be small is none (Tarone, Biometrics 1990).

    Args:
        x: (s,) as there, and so the others.
        n: (s,)
        x_others: (s,)
        n_others: (s,)

    >>> least_p_value(*np.array([[1], [4], [2], [0]])), round(least_p_value(*np.array([[1], [3], [2], [3]])), 3)
    (1.0, 0.05)
    """
    errors, size = np.asarray(x) + np.asarray(x_others), np.asarray(n) + np.asarray(n_others)
    most = np.minimum(errors, n)
    ways = log_choose(n, most) + log_choose(n_others, errors - most) - log_choose(size, errors)
    return float(np.exp(ways.sum()))


def hypergeometric(n_err: int, n_of: int, n_others: int) -> np.ndarray:
    """Probabilities that 0, 1, ... up to all of some visits that err are of a group, where chance decides.

    SciPy's own takes a quarter of a millisecond for each, and a report has thousands.

    Args:
        n_err: visits that err, of the group and of others, at most all of them.
        n_of: visits of the group.
        n_others: visits of others.

    Returns:
        (min(n_err, n_of) + 1,) probabilities, which add up to 1.
    """
    if n_err == 1 and n_of:  # as in most strata
        return np.array([n_others, n_of]) / (n_of + n_others)
    falls = np.arange(min(n_err, n_of) + 1)
    ways = log_choose(n_of, falls) + log_choose(n_others, n_err - falls) - log_choose(n_of + n_others, n_err)
    return np.exp(ways)


def log_choose(n: np.ndarray | int, k: np.ndarray | int) -> np.ndarray:
    """Logarithm of the number of ways to choose k of n; minus infinity where there is none."""
    return np.where(np.less_equal(k, n), -betaln(n - k + 1.0, k + 1.0) - np.log1p(n), -np.inf)

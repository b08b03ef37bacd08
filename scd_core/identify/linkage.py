"""Average linkage of groups of pictures that are known by their sums alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["average_linkage"]


def average_linkage(sums: NDArray[np.floating], counts: NDArray[np.floating], least: float) -> NDArray[np.int64]:
    """Join groups while the mean similarity of their pictures is at least a limit.

    The mean cosine of all pairs of pictures of two groups is the product of the means of their embeddings, so a group of
    earlier nights is joined exactly as if its pictures were at hand. The nearest-neighbour chain (Murtagh 1983) gives the same
    groups as joining the nearest pair first, in a time that grows with the square of the number of groups.

    Args:
        sums: (N, D) sum of each group's embeddings of unit length; a single picture is a group of one.
        counts: (N,) pictures of each, at least 1.
        least: mean similarity from which two groups are joined.

    Returns:
        (N,) for each the smallest number of a group that it is joined with, its own where with none.

    >>> average_linkage(np.array([[1.0, 0.0], [0.0, 1.0], [2.0, 0.2]]), np.array([1, 1, 2]), 0.5).tolist()
    [0, 1, 0]
    """
    means = (sums / np.asarray(counts)[:, None]).astype(np.float32)
    near = means @ means.T
    np.fill_diagonal(near, -np.inf)
    weights = np.array(counts, dtype=np.float64)
    joined = np.arange(len(weights))
    is_open = np.ones(len(weights), dtype=bool)
    chain: list[int] = []
    start = 0
    while True:
        if not chain:
            while start < len(weights) and not is_open[start]:
                start += 1
            if start == len(weights):
                break
            chain.append(start)
        last = chain[-1]
        row = near[last]
        best = int(row.argmax())
        if len(chain) > 1 and row[chain[-2]] >= row[best]:
            best = chain[-2]
        if row[best] < least:  # nothing that is joined later comes nearer to it
            chain.pop()
            _close(near, is_open, last)
        elif len(chain) > 1 and best == chain[-2]:
            del chain[-2:]
            keep, gone = min(last, best), max(last, best)
            share = weights[gone] / (weights[keep] + weights[gone])
            near[keep] = _mixed(near[keep], near[gone], share)
            near[:, keep] = near[keep]
            near[keep, keep] = -np.inf
            weights[keep] += weights[gone]
            joined[gone] = keep
            _close(near, is_open, gone)
        else:
            chain.append(best)
    for place in range(len(joined)):  # a group is joined with a smaller one only
        joined[place] = joined[joined[place]]
    return joined


def _mixed(first: NDArray[np.float32], second: NDArray[np.float32], share: float) -> NDArray[np.float32]:
    return (first * np.float32(1 - share) + second * np.float32(share)).astype(np.float32)


def _close(near: NDArray[np.float32], is_open: NDArray[np.bool_], place: int) -> None:
    """Take a group out of those that may still be joined."""
    is_open[place] = False
    near[place] = -np.inf
    near[:, place] = -np.inf

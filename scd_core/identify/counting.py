"""How many individuals there are, from pictures that are drawn and that a person compares."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln
from scipy.stats import binom

from scd_core.identify.sameness import Sameness

__all__ = ["Count", "Drawn", "draw_order", "estimate_count", "tell_apart"]

_COVERED = 0.95
_EVENNESS = np.geomspace(0.7, 16.0, 11)
_EACH = 150
"""Individuals not drawn up to which each number is looked at."""

_AT_ONCE = 2
"""Questions about a picture in one round, where others follow: 1 to 5 were tried on cats and antelopes."""


@dataclass(frozen=True)
class Drawn:
    """Pictures that are drawn and compared, and the pairs to compare next."""

    individuals: list[list[str]]
    """target_ids of each individual that was seen, the one drawn first being first."""
    left_out: list[str]
    """Pictures of which a person could not see who it is."""
    pairs: list[tuple[str, str]]
    """To be compared next: a picture, and one of another that is drawn before it."""


@dataclass(frozen=True)
class Count:
    """An estimated number of individuals."""

    estimate: float
    low: int
    """Of the 95 % interval."""
    high: int
    """Of the 95 % interval."""


def draw_order(groups: Mapping[str, str], contents: Mapping[str, str], seed: str = "") -> list[str]:
    """Pictures in the order in which they are drawn, each group of pictures as often as each other one.

    The chance of a picture is one over the pictures of its group (the outer stage of nested importance sampling, Perez, Maji
    and Sheldon 2023; the groups are names and candidates instead of a kernel of similarities). Drawn without replacement:
    each picture gets an exponential clock of its rate, made of its content, and the clocks ring in order.

    Args:
        groups: target_id -> name or candidate.
        contents: target_id -> what its random number is made of; that of a picture that is missing here is its target_id.
        seed: another one gives another draw.

    >>> draw_order({"a": "Luna", "b": "Luna", "c": "Nyx"}, {}) == draw_order({"c": "Nyx", "b": "Luna", "a": "Luna"}, {})
    True
    """
    sizes = Counter(groups.values())
    clocks = {}
    for target, group in groups.items():
        digest = hashlib.sha256(f"count:{seed}:{contents.get(target, target)}".encode()).digest()
        share = (int.from_bytes(digest[:8], "big") + 0.5) / 2.0**64
        clocks[target] = -np.log(share) * sizes[group]
    return sorted(groups, key=lambda target: (clocks[target], target))


def tell_apart(
    order: Sequence[str],
    known: Sameness,
    likeness: Callable[[str, Sequence[str]], NDArray[np.floating]],
    n_pairs: int,
    *,
    is_last: bool = True,
) -> Drawn:
    """Part drawn pictures into individuals as far as the answers reach, and find the pairs to compare next.

    Each picture is compared with the individuals that were drawn before it, the most alike first, until it is one of them or
    none: what a person said of one picture holds for all of its individual, so few answers settle many pairs. The pictures
    before the first open question are the sample; later ones would be those that are easy to compare.

    Args:
        order: as :func:`draw_order` gives it.
        known: names and answers.
        likeness: a picture and n others -> (n,) how alike they are.
        n_pairs: most pairs.
        is_last: no other answers will follow: pictures are then compared with all individuals one after another. Otherwise
            a picture is in two pairs at most, so that its next pair depends on their answers.
    """
    # Root -> pictures. A picture whose pairs have no answer yet counts as an individual of its own.
    seen: dict[str, list[str]] = {}
    sample: list[str] = []
    left_out: list[str] = []
    pairs: list[tuple[str, str]] = []
    for target in order:
        root = known.root(target)
        if root not in seen:
            is_open = [members for members in seen.values() if known(target, members[0]) is None]
            if any(known.is_unclear(target, member) for members in is_open for member in members):
                left_out.append(target)
                continue
            if is_open and len(pairs) >= n_pairs:
                break
            pairs += _questions(target, is_open, likeness)[
                : n_pairs - len(pairs) if is_last else min(_AT_ONCE, n_pairs - len(pairs))
            ]
        seen.setdefault(root, []).append(target)
        if not pairs:
            sample.append(target)
    drawn: dict[str, list[str]] = {}
    for target in sample:
        drawn.setdefault(known.root(target), []).append(target)
    return Drawn(list(drawn.values()), left_out, pairs)


def _questions(
    target: str, others: Sequence[Sequence[str]], likeness: Callable[[str, Sequence[str]], NDArray[np.floating]]
) -> list[tuple[str, str]]:
    """The picture beside the most similar one of each other individual, the individual that is most alike on the whole first."""
    found = []
    for members in others:
        alike = likeness(target, members)
        found.append((-float(alike.mean()), target, members[int(alike.argmax())]))
    return [(first, second) for _, first, second in sorted(found)]


def estimate_count(n_pictures: Sequence[int], n_all: int) -> Count:
    """The number of individuals that pictures are of, by how often each was drawn.

    Of N individuals each comes up with a chance of its own; these are of a symmetric Dirichlet distribution, whose evenness
    is not known: 0.7 (some come up far more often than others) to 16 (nearly alike), on a logarithmic scale. Before the draw N
    has weight 1 / N. This gives a weight to each number of individuals, and the chance that one of which nothing was drawn
    has no picture among those that are left. The estimate is the median, the interval the shortest one that has 95 %.

    Args:
        n_pictures: pictures drawn of each individual that was drawn, at least 1 each.
        n_all: pictures that could be drawn, at least the sum.

    >>> estimate_count([3, 2, 1], 6)
    Count(estimate=3.0, low=3, high=3)
    """
    counts = np.asarray(n_pictures, dtype=np.int64)
    n_seen, m = len(counts), int(counts.sum())
    if not n_seen or m >= n_all:
        return Count(float(n_seen), n_seen, n_seen if m >= n_all else n_all)
    left = n_all - m
    unseen, steps = _grid(20 * left)  # also so many that few of them have a picture
    n, evenness = (n_seen + unseen)[:, None], _EVENNESS[None]
    total = n * evenness
    log_weight = gammaln(total) - gammaln(total + m) + gammaln(n + 1) - gammaln(unseen[:, None] + 1) - np.log(n)
    for size, times in Counter(counts.tolist()).items():
        log_weight += times * (gammaln(size + evenness) - gammaln(evenness))
    weight = np.exp(log_weight - log_weight.max()) * steps[:, None]
    rest = total - evenness + m
    has_none = np.exp(gammaln(rest + left) - gammaln(rest) + gammaln(total + m) - gammaln(total + m + left))
    values, shares = _new_individuals(unseen, weight / weight.sum(), 1 - has_none)
    values, upto = np.minimum(values, left), np.cumsum(shares)
    start = np.arange(len(values))
    end = np.searchsorted(upto, np.concatenate([[0.0], upto[:-1]]) + _COVERED * upto[-1])
    is_whole = end < len(values)
    best = int(np.argmin(values[end[is_whole]] - values[start[is_whole]]))
    median = values[int(np.searchsorted(upto, 0.5 * upto[-1]))]
    return Count(float(n_seen + median), int(n_seen + values[best]), int(n_seen + values[end[best]]))


def _grid(most: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Numbers from 0 to `most`, all the first ones and then ever fewer, and how many each one stands for."""
    near = np.arange(min(most, _EACH) + 1)
    if most <= _EACH:
        return near, np.ones_like(near)
    far = np.unique(np.geomspace(_EACH + 1, most, 200).astype(np.int64))
    every = np.concatenate([near, far])
    return every, np.diff(every, prepend=-1)


def _new_individuals(
    unseen: NDArray[np.int64], weight: NDArray[np.float64], chance: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Numbers of individuals among the pictures that are left, and the share of each number.

    Args:
        unseen: (U,) individuals of which nothing was drawn.
        weight: (U, A) of each, for each evenness.
        chance: (U, A) that one of them has a picture left.
    """
    n_near = min(len(unseen), _EACH + 1)
    number = unseen[:n_near]
    of_near = binom.pmf(number[:, None, None], number[None, :, None], chance[None, :n_near])
    values, shares = [number], [(of_near * weight[None, :n_near]).sum((1, 2))]
    if n_near < len(unseen):  # of very many the expected number is near enough
        values.append(np.round(unseen[n_near:, None] * chance[n_near:]).astype(np.int64).ravel())
        shares.append(weight[n_near:].ravel())
    every, place = np.unique(np.concatenate(values), return_inverse=True)
    return every, np.bincount(place, np.concatenate(shares)).astype(np.float64)

"""How many individuals there are, from pictures that are drawn and that a person compares."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scd_core.identify.sameness import Sameness

__all__ = ["Count", "Drawn", "draw_order", "estimate_count", "tell_apart"]

_Z = 1.959964
"""Normal quantile of a 95 % interval."""

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

    With ``f1`` individuals drawn once, ``f2`` drawn twice, ``m`` pictures drawn of ``n`` and ``q = m / n``, those that were not
    drawn are at least ``f1^2 / (2 f2 m / (m - 1) + f1 q / (1 - q))`` (Chao and Lin 2012, for draws without replacement; from
    memory, checked by simulation), with a log-normal interval (Chao 1987). Where none was drawn once, the interval is that of a
    Poisson number of draws. Its ends are whole numbers, and at most all pictures that were not drawn are new individuals. It
    takes the chances of the individuals to be alike; where they are not, it is a lower bound.

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
    once, twice, q = int((counts == 1).sum()), int((counts == 2).sum()), m / n_all
    weight, most = m / max(m - 1, 1), n_all - m
    unseen = 0.0
    if twice:
        unseen = once**2 / (2 * weight * twice + once * q / (1 - q))
    elif once > 1:
        unseen = once * (once - 1) / (2 * weight + once * q / (1 - q))
    if unseen <= 0:
        missed = float(np.exp(-counts).mean()) * (1 - q)
        high = n_seen / (1 - missed) + _Z * np.sqrt(missed * n_seen) / (1 - missed)
        return Count(float(n_seen), n_seen, min(int(np.ceil(high)), n_seen + most))
    if twice:
        variance = (
            unseen
            + (2 * weight * twice * unseen**2 + once**2 * unseen) ** 2 / once**5
            + 4 * weight**2 * twice * (unseen / once) ** 4
        )
    else:
        variance = once * (once - 1) / 2 + once * (2 * once - 1) ** 2 / 4 - once**4 / (4 * (n_seen + unseen))
        variance = max(variance, unseen)
    spread = float(np.exp(_Z * np.sqrt(np.log1p(variance / unseen**2))))
    low, high = n_seen + unseen / spread, n_seen + min(unseen * spread, most)
    return Count(n_seen + min(unseen, most), int(np.floor(low)), int(np.ceil(high)))

"""Who is a stranger to a gallery: the least similarity of a name, from individuals and pictures that are held out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from scd_core.errors import InputError
from scd_core.identify.embeddings import unit_rows
from scd_core.identify.gallery import EQUAL
from scd_core.identify.whitening import CENTRE, fit_whitening

__all__ = ["HeldOut", "StrangerLimit", "find_stranger_limit", "gallery_temperature", "hold_out"]

_FEWEST = 10
_STRANGER_FOLDS = 10
_KNOWN_FOLDS = 5
_BLOCK = 500
_SIMILARITIES = 5_000_000
"""That are held in double precision at a time (40 MB)."""
_MOST_TRIED = 2000


@dataclass(frozen=True)
class HeldOut:
    """Similarities of pictures that neither the gallery nor its whitening has seen."""

    strangers: NDArray[np.float64]
    """(N,): of each picture to the nearest one of the others, while its individual is left out."""
    known: NDArray[np.floating]
    """(M, K): of pictures that are left out to the nearest picture of each individual."""
    truth: NDArray[np.int64]
    """(M,): place of the individual of each, among the names in order."""

    @property
    def n_right(self) -> int:
        """Pictures of known individuals that get their name."""
        return int((self.known.argmax(1) == self.truth).sum()) if len(self.known) else 0


@dataclass(frozen=True)
class StrangerLimit:
    """The least similarity that gives a name, and what it costs."""

    similarity: float
    """A best cosine similarity below it is called unknown."""
    false_known_rate: float
    """Share of pictures of left-out individuals that still get a name."""
    n_strangers: int
    """Pictures that this is measured on."""
    reach: float
    """Share of pictures of known individuals, each left out, that still get a name; NaN where there are none."""
    n_known: int
    """Pictures that this is measured on: of individuals with two pictures or more."""


def hold_out(features: NDArray[np.floating], names: Sequence[str], is_whitened: bool) -> HeldOut:
    """Name a gallery's own pictures as strangers and as known ones, without what is to be named.

    A whitening draws the pictures that it was fitted to together, so it is fitted anew without those that are held out: a tenth
    of the individuals for strangers, a fifth of each individual's pictures for known ones.

    Args:
        features: (N, D) of any length.
        names: N individuals, 2 or more different ones.
        is_whitened: whether the gallery compares whitened.
    """
    own, kinds = np.array(names), sorted(set(names))
    truth = np.searchsorted(kinds, own)
    order = np.random.default_rng(0).permutation(len(kinds))
    fold_of_kind = np.empty(len(kinds), dtype=np.int64)
    fold_of_kind[order] = np.arange(len(kinds)) % min(_STRANGER_FOLDS, len(kinds))
    of_strangers = [np.zeros(0)]
    for _, near, _ in _folds(features, own, truth, fold_of_kind[truth], is_whitened):
        of_strangers.append(near.max(1).astype(np.float64))
    strangers = np.concatenate(of_strangers)
    within = np.zeros(len(own), dtype=np.int64)  # number of each picture among those of its individual
    for kind, mine in enumerate(np.split(np.argsort(truth, kind="stable"), np.cumsum(np.bincount(truth))[:-1])):
        within[np.random.default_rng(kind).permutation(mine)] = np.arange(len(mine))
    known, of_known = [], []
    for places, near, kinds_held in _folds(features, own, truth, within % _KNOWN_FOLDS, is_whitened):
        full = np.full((len(places), len(kinds)), -1.0, dtype=np.float32)
        full[:, kinds_held] = near
        has_more = full[np.arange(len(places)), truth[places]] > -1.0
        known.append(full[has_more])
        of_known.append(truth[places][has_more])
    none = np.zeros((0, len(kinds)), dtype=np.float32)  # one picture of each: none has another one left
    return HeldOut(strangers, np.concatenate([none, *known]), np.concatenate([truth[:0], *of_known]))


def _folds(
    features: NDArray[np.floating],
    names: NDArray[np.str_],
    truth: NDArray[np.int64],
    fold: NDArray[np.int64],
    is_whitened: bool,
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]]:
    """For each fold, in parts: its pictures, their similarity to the nearest picture of each individual that is left, and which
    these are. Equal pictures prove nothing and do not count. Of a large gallery 2 000 pictures are tried."""
    unit = unit_rows(features)
    is_tried = np.zeros(len(fold), dtype=bool)
    is_tried[np.random.default_rng(0).permutation(len(fold))[:_MOST_TRIED]] = True
    for number in range(int(fold.max()) + 1):
        held = np.flatnonzero((fold == number) & is_tried)
        rest = np.flatnonzero(fold != number)  # also those that are not tried
        if not len(held) or not len(rest):
            continue
        fitted = fit_whitening(unit[rest], names[rest].tolist()) if is_whitened else None
        rest = rest[np.argsort(truth[rest], kind="stable")]
        kinds, starts = np.unique(truth[rest], return_index=True)
        plain = unit[rest]
        left = plain if fitted is None else fitted(plain, CENTRE)
        for start in range(0, len(held), _BLOCK):
            places = held[start : start + _BLOCK]
            query = unit[places]
            cosines = (query if fitted is None else fitted(query, CENTRE)) @ left.T
            cosines[(cosines if fitted is None else query @ plain.T) > EQUAL] = -1.0
            yield places, np.maximum.reduceat(cosines, starts, axis=1), kinds


def find_stranger_limit(held_out: HeldOut, rate: float) -> StrangerLimit:
    """The least similarity with which at most a stated share of pictures of strangers gets a name.

    It lies half-way between the first stranger that must not pass and the next known picture: other strangers may be somewhat
    more like known ones than those few that could be held out.

    The names that known pictures keep are counted with a part of each individual's pictures left out, but not the other
    pictures of the same moment, which may be alike: the true reach is smaller where pictures are bursts.

    Args:
        held_out: of the gallery.
        rate: share of strangers that may get a name, 0-1.

    Raises:
        InputError: fewer than 3 individuals, or too few pictures to see the rate at all.
    """
    n, n_kinds = len(held_out.strangers), held_out.known.shape[1]
    needed = max(_FEWEST, int(np.ceil(1 / rate)) if rate > 0 else _FEWEST)
    if n_kinds < 3 or n < needed:
        raise InputError(
            f"gallery: {n} pictures of {n_kinds} individuals; a rate of strangers of {rate:g} needs {needed} pictures of at "
            "least 3 individuals; add pictures, or leave out --unknown-rate"
        )
    ordered = np.sort(held_out.strangers)[::-1]
    allowed = int(np.floor(rate * n))
    best = held_out.known.max(1) if len(held_out.known) else np.zeros(0)
    limit = -1.0
    if allowed < n:
        above = best[best > ordered[allowed]]
        upper = float(above.min()) if len(above) else 1.0
        limit = max(float(ordered[allowed] + upper) / 2, float(np.nextafter(ordered[allowed], 2.0)))
    reach = float((best >= limit).mean()) if len(best) else float("nan")
    return StrangerLimit(limit, float((held_out.strangers >= limit).mean()), n, reach, len(best))


def gallery_temperature(held_out: HeldOut, scale: float) -> float | None:
    """Temperature of least log-loss of the names of pictures that are held out of a gallery.

    Args:
        held_out: of the gallery.
        scale: by which similarities are multiplied.

    Returns:
        0.02 to 50; None where fewer than 10 pictures have another one of their individual.
    """
    if len(held_out.known) < _FEWEST or held_out.known.shape[1] < 2:
        return None
    each, best = np.arange(len(held_out.truth)), held_out.known.max(1)
    own = scale * (held_out.known[each, held_out.truth].astype(np.float64) - best)
    share = (len(each) + 1) / (len(each) + 2)  # as in `calibrate`: no picture is named right for ever
    n_rows = max(1, _SIMILARITIES // held_out.known.shape[1])

    def sum_of_others(inverse: float) -> NDArray[np.float64]:
        found = np.empty(len(each))
        for start in range(0, len(each), n_rows):
            part = slice(start, start + n_rows)
            logits = scale * inverse * (held_out.known[part].astype(np.float64) - best[part, None])
            logits[np.arange(len(logits)), held_out.truth[part]] = -np.inf
            found[part] = np.exp(logits).sum(1)
        return found

    def loss(log_t: float) -> float:
        inverse = float(np.exp(-log_t))
        others = np.log(np.maximum(sum_of_others(inverse), 1e-300))
        total = np.logaddexp(own * inverse, others)
        return -float((share * (own * inverse - total) + (1 - share) * (others - total)).mean())

    found = minimize_scalar(loss, bounds=(np.log(0.02), np.log(50.0)), method="bounded", options={"xatol": 1e-5})
    return float(np.exp(found.x))

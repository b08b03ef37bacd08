"""Whitening: directions in which pictures of one individual differ count less when pictures are compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from scd_core.errors import InputError
from scd_core.identify.embeddings import unit_rows
from scd_core.identify.tensors import read_tensors

__all__ = [
    "CENTRE",
    "Whitening",
    "fit_whitening",
    "group_space",
    "hidden_groups",
    "is_better_than_plain",
    "read_whitening",
]

CENTRE = 0.8
"""Share of the mean that is taken off before two pictures are compared for a name; for candidates see :func:`group_space`.

What all pictures have in common says nothing of who it is, but how strong it is says how much of an animal is seen at all. On
cats 0.8 parts strangers from known ones better than 0 or 1 do (docs/research/individuals.md)."""

_FEWEST_INDIVIDUALS = 4
_FEWEST_PICTURES = 12
"""Of individuals with two pictures or more: with fewer the scatter within individuals is a guess."""

_MOST_PICTURES = 2000
"""That the scatter is taken from, of individuals drawn at random: a package may hold thousands of them."""

_OF_AN_INDIVIDUAL = 200
"""Pictures of one individual that the scatter is taken from, at most, so that it is of ten individuals or more."""

_OF_THE_MEAN = 2000
"""Pictures that the mean of hidden groups is taken of, at most."""

_MANY_PAIRS = 1_000_000

_BLOCK = 10_000
"""Embeddings that are turned at a time."""

_TRIALS = 12

Space = Callable[[NDArray[np.floating]], NDArray[np.float32]]
"""(N, D) embeddings -> (N, D) of unit length, to be compared by their cosine."""


@dataclass(frozen=True)
class Whitening:
    """What is taken off embeddings before they are compared.

    The scatter within individuals, shrunk to a multiple of the identity, has few directions of its own: the inverse of its root
    scales an embedding by ``1 - gain`` along each of them and leaves the rest, but for a factor that no cosine sees.
    """

    mean: NDArray[np.float32]
    """(D,): mean of the embeddings that it was fitted to."""
    directions: NDArray[np.float32]
    """(R, D), orthonormal."""
    gains: NDArray[np.float32]
    """(R,), 0 to 1: what is taken off along each direction."""

    def __call__(self, features: NDArray[np.floating], centre: float = 1.0) -> NDArray[np.float32]:
        """(N, D) features of any length -> (N, D) whitened, of unit length; `centre` is the share of the mean taken off."""
        found = np.empty((len(features), len(self.mean)), dtype=np.float32)
        # One product in place of two, where there are more embeddings than it takes to be worth it.
        is_many = len(features) > len(self.mean) and 2 * len(self.gains) > len(self.mean)
        off = (self.directions.T * self.gains) @ self.directions if is_many else None
        for start in range(0, len(features), _BLOCK):
            moved = unit_rows(features[start : start + _BLOCK]) - np.float32(centre) * self.mean
            taken = ((moved @ self.directions.T) * self.gains) @ self.directions if off is None else moved @ off
            found[start : start + _BLOCK] = unit_rows(moved - taken)
        return found

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """By the names of the fields."""
        return {name: np.ascontiguousarray(getattr(self, name)) for name in ("mean", "directions", "gains")}

    def to_bytes(self) -> bytes:
        """As the safetensors file of a package."""
        return save(self.arrays())


def read_whitening(data: bytes, name: str) -> Whitening:
    """Whitening from the file of a package.

    Raises:
        InputError: not such a file.
    """
    state = read_tensors(data, f"whitening {name}", "pack the model again")
    found = {key: state[key].astype(np.float32) for key in ("mean", "directions", "gains") if key in state}
    if len(found) != 3 or found["directions"].shape != (len(found["gains"]), len(found["mean"])):
        raise InputError(f"whitening {name}: expected tensors mean (D,), directions (R, D) and gains (R,)")
    if not all(np.isfinite(values).all() for values in found.values()):
        raise InputError(f"whitening {name}: holds values that are not finite; fit it again")
    return Whitening(**found)


def fit_whitening(features: NDArray[np.floating], names: Sequence[str]) -> Whitening | None:
    """Whitening by the scatter within individuals, shrunk by Ledoit and Wolf (2004, from scikit-learn).

    Args:
        features: (N, D), of any length.
        names: N individuals.

    Returns:
        None where fewer than 4 individuals have two pictures, or they have fewer than 12 together.
    """
    scatter = _scatter(features, names)
    if scatter is None:
        return None
    size = scatter.shape[1]
    variances, directions = _principal(scatter)
    if not len(variances):  # all pictures of an individual are equal
        return None
    shrunk, level = _shrinkage(scatter, variances), float(variances.sum()) / size
    gains = np.clip(1 - np.sqrt(shrunk * level / ((1 - shrunk) * variances + shrunk * level)), 0, 1)
    total = np.zeros(size)
    for start in range(0, len(features), _BLOCK):
        total += unit_rows(features[start : start + _BLOCK]).sum(0, dtype=np.float64)
    return Whitening(*(part.astype(np.float32) for part in (total / len(features), directions, gains)))


def _scatter(features: NDArray[np.floating], names: Sequence[str]) -> NDArray[np.float64] | None:
    """(n, D) deviations of pictures from the mean of their individual, of individuals in a random order."""
    kinds, own = np.unique(np.array(names), return_inverse=True)
    places = np.split(np.argsort(own, kind="stable"), np.cumsum(np.bincount(own, minlength=len(kinds)))[:-1])
    rng = np.random.default_rng(0)
    parts: list[NDArray[np.float64]] = []
    n = 0
    for kind in rng.permutation(len(kinds)).tolist():
        mine = places[kind]
        if n >= _MOST_PICTURES:
            break
        if len(mine) > _OF_AN_INDIVIDUAL:
            mine = np.sort(rng.permutation(mine)[:_OF_AN_INDIVIDUAL])
        if len(mine) > 1:
            pictures = unit_rows(features[mine]).astype(np.float64)
            parts.append((pictures - pictures.mean(0)) * np.sqrt(len(mine) / (len(mine) - 1)))
            n += len(mine)
    return np.concatenate(parts) if len(parts) >= _FEWEST_INDIVIDUALS and n >= _FEWEST_PICTURES else None


def _principal(scatter: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Variances (R,) along the directions (R, D) in which (N, D) rows differ, from the smaller of the matrices of products."""
    n, size = scatter.shape
    is_wide = n < size
    products = (scatter @ scatter.T if is_wide else scatter.T @ scatter) / n
    variances, vectors = np.linalg.eigh(products)
    is_real = variances > np.finfo(np.float64).eps * n
    variances, vectors = variances[is_real], vectors[:, is_real]
    return variances, ((vectors.T @ scatter) / np.sqrt(n * variances)[:, None] if is_wide else vectors.T)


def _shrinkage(scatter: NDArray[np.float64], variances: NDArray[np.float64]) -> float:
    """Ledoit and Wolf's share of the identity, for (N, D) centred rows and the variances along their directions.

    scikit-learn's `ledoit_wolf_shrinkage` gives the same, from matrices that are as large as the rows.
    """
    n, size = scatter.shape
    level, squared = float(variances.sum()) / size, float((variances**2).sum())
    spread = squared - size * level**2
    noise = (float(((scatter**2).sum(1) ** 2).sum()) / n - squared) / n
    return float(np.clip(min(noise, spread) / spread, 1e-6, 1.0)) if spread > 0 else 1.0


def is_better_than_plain(features: NDArray[np.floating], names: Sequence[str]) -> bool:
    """Whether whitening names no fewer pictures of individuals that it was not fitted to than the plain cosine does.

    Half of the individuals are held out, several times; each of their pictures gets the name of the nearest other one.
    """
    own, kinds = np.array(names), sorted(set(names))
    plain = whitened = 0
    for trial in range(10):
        chosen = np.random.default_rng(trial).permutation(kinds)[: len(kinds) // 2]
        held = np.isin(own, chosen)
        fitted = fit_whitening(features[~held], own[~held].tolist())
        if fitted is None:
            return False
        plain += _n_nearest(unit_rows(features[held]), own[held])
        whitened += _n_nearest(fitted(features[held], CENTRE), own[held])
    return whitened >= plain


def _n_nearest(unit: NDArray[np.float32], names: NDArray[np.str_]) -> int:
    """Pictures whose nearest other one has their name."""
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -2.0)
    return int((names[cosines.argmax(1)] == names).sum()) if len(unit) > 1 else 0


def hidden_groups(
    features: NDArray[np.floating], names: Sequence[str]
) -> list[tuple[NDArray[np.float32], NDArray[np.str_]]]:
    """Known individuals as strangers: two at a time, whitened by the pictures of the others, less the mean of all.

    Returns:
        At most 12 pairs of individuals: their pictures, (n, D) of unit length, and their names.
    """
    own = np.array(names)
    kinds, counts = np.unique(own, return_counts=True)
    several = kinds[counts > 1].tolist()
    # A permutation of the pairs of thousands of individuals would be longer than all else.
    n_pairs = len(several) * (len(several) - 1) // 2
    rng = np.random.default_rng(0)
    order = rng.permutation(n_pairs)[:_TRIALS] if n_pairs < _MANY_PAIRS else rng.choice(n_pairs, _TRIALS, replace=False)
    some = features[np.sort(rng.permutation(len(own))[:_OF_THE_MEAN])]
    groups = []
    for place in order.tolist():
        held = np.isin(own, [several[one] for one in _pair(place, len(several))])
        space = group_space(fit_whitening(features[~held], own[~held].tolist()), some)
        groups.append((space(features[held]), own[held]))
    return groups


def _pair(place: int, n: int) -> tuple[int, int]:
    """The pair of 0 to n - 1 at a place of all pairs, in the order of :func:`itertools.combinations`.

    >>> [_pair(place, 3) for place in range(3)]
    [(0, 1), (0, 2), (1, 2)]
    """
    first = 0
    while place >= n - 1 - first:
        place, first = place - (n - 1 - first), first + 1
    return first, first + 1 + place


def group_space(whitening: Whitening | None, pictures: NDArray[np.floating]) -> Space:
    """How embeddings are compared to group them: whitened, less what all pictures at hand have in common.

    Args:
        whitening: of the package; None compares embeddings as they are.
        pictures: (N, D) that the mean is taken of, known individuals and strangers: with the mean of known ones alone strangers
            are too like each other, with that of strangers alone one stranger falls into parts (docs/research/individuals.md).
    """

    def turned(features: NDArray[np.floating]) -> NDArray[np.float32]:
        return unit_rows(features) if whitening is None else whitening(features, 0.0)

    mean = turned(pictures).mean(0) if len(pictures) else np.zeros(1, np.float32)
    return lambda features: unit_rows(turned(features) - mean)

"""Individuals by what a network's head reads of their pictures: their means, how those of one differ, and heads of both."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from scd_core.errors import InputError
from scd_core.identify.tensors import read_tensors

__all__ = ["NEVER", "ClassMeans", "Head", "align_row", "fit_class_means", "read_class_means", "read_head"]

NEVER = -1e4
"""Score of a name that was never learnt: "never" in float32 and in a softmax, and finite."""

_LEAST = 1e-9
"""Of the mean variance: keeps a scatter that is shrunk to nothing invertible."""

_HELD_BACK = 0.5
"""Of the lead that an added name's least sure pictures have over trained names: by so much its score is lowered."""

_DRAWS = 64
_MOST_DRAWS = 16384
"""Of each individual, and of all together."""

_PENALTY = 1e-3
_STEPS = 200


@dataclass(frozen=True)
class Head:
    """A linear layer over features."""

    weight: NDArray[np.float32]
    """(K, D)."""
    bias: NDArray[np.float32]
    """(K,)."""

    def scores(self, features: NDArray[np.floating]) -> NDArray[np.float32]:
        """(N, D) features -> (N, K) logits."""
        return np.asarray(features @ self.weight.T + self.bias, dtype=np.float32)

    def to_bytes(self) -> bytes:
        """As the safetensors file of a package."""
        return save({"weight": np.ascontiguousarray(self.weight), "bias": np.ascontiguousarray(self.bias)})


def read_head(data: bytes, name: str, n_classes: int) -> Head:
    """A linear layer from the file of a package of `n_classes` classes.

    Raises:
        InputError: not such a file, or one of other classes.
    """
    state = read_tensors(data, f"head {name}", "take the package as it was written")
    if set(state) != {"weight", "bias"} or state["weight"].ndim != 2 or state["bias"].shape != (n_classes,):
        raise InputError(f"head {name}: expected weight and bias of {n_classes} classes")
    if len(state["weight"]) != n_classes or not all(np.isfinite(one).all() for one in state.values()):
        raise InputError(f"head {name}: expected finite weights of {n_classes} classes")
    return Head(state["weight"].astype(np.float32), state["bias"].astype(np.float32))


@dataclass(frozen=True)
class ClassMeans:
    """A normal distribution of each individual's features: a mean of its own, one covariance for all."""

    means: NDArray[np.float64]
    """(K, D); 0 for an individual without pictures."""
    counts: NDArray[np.int64]
    """(K,) pictures that each mean is of; 0 where there are none."""
    scatter: NDArray[np.float64]
    """(R, D): the covariance is ``scatter' scatter + level I``."""
    level: float
    n_trained: int
    """Individuals that the network was trained with: the first of K. Those after them were added."""
    is_aligned: bool
    """The head is made of the means; else it is the trained one, and added individuals have rows beside it."""
    leads: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    """(K - n_trained,) for each added individual by how much its least sure picture that is named right leads the trained ones,
    where it is left out of mean and covariance; nan where that is not known."""

    @property
    def n_free(self) -> int:
        """Pictures that the covariance is of, less one for each individual."""
        return max(1, int(self.counts.sum()) - int((self.counts > 0).sum()))

    @property
    def shrinkage(self) -> tuple[float, float]:
        """The share of the covariance that is ``level I``, and its mean variance."""
        variance = self.level + float((self.scatter**2).sum()) / self.scatter.shape[1]
        return min(1.0, self.level / variance), variance

    @property
    def held_back(self) -> float:
        """By how much the scores of added individuals are lowered.

        More names take pictures from those that were there before; held back, they take fewer. By how much was chosen on cats and
        antelopes so that added ones are still named .9 times as often as by a head that is trained anew. It is one number for
        all, by the median over them: one individual has too few pictures for a number of its own.
        """
        known = self.leads[np.isfinite(self.leads)]
        return _HELD_BACK * float(np.median(known)) if len(known) else 0.0

    def head(self) -> Head:
        """The linear discriminant of equal priors, ``m_c' S^-1 x - m_c' S^-1 m_c / 2`` up to a constant.

        A name without pictures is never given. It is the limit of aligning a head by ever more draws from the normal
        distributions (SLCA, ICCV 2023, section 3.3).
        """
        present = self.counts > 0
        means = self.means[present]
        centre = means.mean(0)
        found = self._solve(means - centre)
        weight = np.zeros(self.means.shape, np.float32)
        bias = np.full(len(self.means), NEVER, np.float32)
        weight[present] = found
        bias[present] = -0.5 * np.einsum("kd,kd->k", found, means - centre) - found @ centre
        bias[self.n_trained :] -= self.held_back
        return Head(weight, bias)

    def _solve(self, vectors: NDArray[np.float64]) -> NDArray[np.float64]:
        """Rows of (K, D) vectors times the inverse of the covariance, by the smaller side of the scatter."""
        if len(self.scatter) >= self.scatter.shape[1]:
            square = self.scatter.T @ self.scatter + self.level * np.eye(self.scatter.shape[1])
            return np.asarray(np.linalg.solve(square, vectors.T).T, dtype=np.float64)
        # The identity of Woodbury.
        inner = self.scatter @ self.scatter.T + self.level * np.eye(len(self.scatter))
        return np.asarray(
            (vectors - (self.scatter.T @ np.linalg.solve(inner, self.scatter @ vectors.T)).T) / self.level
        )

    def with_pictures(self, place: int, features: NDArray[np.floating]) -> ClassMeans:
        """With more pictures of one individual; `place` K adds one.

        Where the head is made of the means, the covariance gets what these pictures add to it, as if it had been taken from all
        (Chan, Golub and LeVeque 1979); the share that it is shrunk by falls as the number of pictures grows.

        Args:
            place: of the individual, 0 to K.
            features: (N, D), N at least 1.
        """
        means, counts = self.means, self.counts
        if place == len(counts):
            means, counts = np.concatenate([means, np.zeros((1, means.shape[1]))]), np.append(counts, 0)
        means, counts, features = means.copy(), counts.copy(), features.astype(np.float64)
        own, n_before, n_new = features.mean(0), int(counts[place]), len(features)
        spread = features - own
        if n_before:
            spread = np.concatenate(
                [spread, np.sqrt(n_before * n_new / (n_before + n_new)) * (own - means[place])[None]]
            )
        counts[place] += n_new
        means[place] += (own - means[place]) * n_new / counts[place]
        # Rows beside trained ones are fitted to draws; with a covariance of new pictures they take more of the old ones.
        n_free = n_new - (not n_before) if self.is_aligned else 0
        grown = replace(self._with_spread(spread, n_free), means=means, counts=counts)
        if place < self.n_trained:
            return grown
        leads = np.append(self.leads, np.nan) if place - self.n_trained == len(self.leads) else self.leads.copy()
        leads[place - self.n_trained] = grown._lead(place, np.asarray(features, dtype=np.float64))
        return replace(grown, leads=leads)

    def _with_spread(self, spread: NDArray[np.float64], n_free: int) -> ClassMeans:
        """With (N, D) deviations within individuals, of so many degrees of freedom, in the covariance."""
        if n_free < 1:
            return self
        before, n_all = self.n_free, self.n_free + n_free
        share, variance = self.shrinkage
        lower = share * before / n_all
        variance = (before * variance + float((spread**2).sum()) / spread.shape[1]) / n_all
        old = self.scatter * np.sqrt((1 - lower) / max(1 - share, _LEAST) * before / n_all)
        scatter = np.concatenate([old, spread * np.sqrt((1 - lower) / n_all)])
        return replace(self, scatter=_as_few(scatter), level=lower * variance)

    def _lead(self, place: int, features: NDArray[np.float64]) -> float:
        """By how much the least sure of an individual's pictures that are named right leads the trained names; nan for none.

        Each is left out of its mean and of the covariance (Sherman and Morrison's formula).
        """
        n_own, trained = int(self.counts[place]), np.flatnonzero(self.counts[: self.n_trained] > 0)
        if n_own < 2 or not len(trained):
            return np.nan
        factor = (1 - self.shrinkage[0]) / self.n_free * n_own / (n_own - 1)
        others = self.means[trained] - self.means[place]
        # A picture lies n / (n - 1) as far from the mean of the others as from that of all.
        further = n_own / (n_own - 1)
        leads = []
        solved_others = self._solve(others)
        lengths = np.einsum("kd,kd->k", solved_others, others)
        moved = features - self.means[place]
        for one, solved in zip(moved, self._solve(moved), strict=True):
            near = float(one @ solved)
            gain = factor / max(1 - factor * near, _LEAST)
            to_own = further**2 * (near + gain * near**2)
            inner = near - 2 * (solved_others @ one) + lengths
            to_others = inner + gain * ((one - others) @ solved) ** 2
            leads.append(0.5 * (float(to_others.min()) - to_own))
        right = [lead for lead in leads if lead > 0]
        return min(right) if right else np.nan

    def draw(self, places: NDArray[np.int64], seed: int) -> NDArray[np.float32]:
        """(N, D) features drawn from the distributions of N individuals."""
        rng = np.random.default_rng(seed)
        spread = rng.standard_normal((len(places), len(self.scatter)), np.float32) @ self.scatter.astype(np.float32)
        noise = rng.standard_normal((len(places), self.means.shape[1]), np.float32) * np.float32(np.sqrt(self.level))
        return np.asarray(self.means[places].astype(np.float32) + spread + noise, dtype=np.float32)

    def to_bytes(self) -> bytes:
        """As the safetensors file of a package."""
        return save(
            {
                "means": self.means.astype(np.float32),
                "counts": self.counts,
                "scatter": np.ascontiguousarray(self.scatter, dtype=np.float32),
                "level": np.array([self.level], np.float32),
                "kind": np.array([self.n_trained, int(self.is_aligned)], np.int64),
                "leads": self.leads.astype(np.float32),
            }
        )


def read_class_means(data: bytes, name: str, n_names: int) -> ClassMeans:
    """Class means from the file of a package that has `n_names` individuals.

    Raises:
        InputError: not such a file, or one of other individuals.
    """
    state = read_tensors(data, f"class means {name}", "take the parent package")
    sizes = {"means": 2, "counts": 1, "scatter": 2, "level": 1, "kind": 1, "leads": 1}
    if set(state) != set(sizes) or any(state[key].ndim != size for key, size in sizes.items()):
        raise InputError(f"class means {name}: expected tensors {', '.join(sizes)}")
    means, scatter = state["means"].astype(np.float64), state["scatter"].astype(np.float64)
    shapes = (means.shape == (n_names, scatter.shape[1]), len(state["counts"]) == n_names)
    if not all(shapes) or state["level"].shape != (1,) or state["kind"].shape != (2,):
        raise InputError(f"class means {name}: are of {len(means)} individuals, the package has {n_names}")
    level = float(state["level"][0])
    if not (np.isfinite(means).all() and np.isfinite(scatter).all() and np.isfinite(level) and level > 0):
        raise InputError(f"class means {name}: hold values that are not finite")
    n_trained, is_aligned = (int(value) for value in state["kind"])
    leads = state["leads"].astype(np.float64)
    if len(leads) != n_names - n_trained or not np.isfinite(leads[~np.isnan(leads)]).all():
        raise InputError(f"class means {name}: hold {len(leads)} leads of {n_names - n_trained} added individuals")
    return ClassMeans(means, state["counts"].astype(np.int64), scatter, level, n_trained, bool(is_aligned), leads)


def fit_class_means(features: NDArray[np.floating], truth: NDArray[np.int64], n_names: int) -> ClassMeans:
    """Means of individuals and the scatter within them, shrunk by Ledoit and Wolf's rule (J. Multivariate Analysis 2004).

    Args:
        features: (N, D), as the network's last layer reads them.
        truth: (N,) individual of each, 0 to n_names - 1.
        n_names: K.
    """
    from sklearn.covariance import ledoit_wolf_shrinkage  # half a second to import

    features = features.astype(np.float64)
    counts = np.bincount(truth, minlength=n_names)
    means = np.zeros((n_names, features.shape[1]))
    np.add.at(means, truth, features)
    means /= np.maximum(counts, 1)[:, None]
    spread = features - means[truth]
    share = float(ledoit_wolf_shrinkage(spread, assume_centered=True))
    n_free = max(1, len(features) - int((counts > 0).sum()))
    level = float((spread**2).sum()) / n_free / features.shape[1]
    scatter = spread * np.sqrt((1 - share) / n_free)
    return ClassMeans(means, counts, _as_few(scatter), (share + _LEAST) * level + 1e-30, n_names, is_aligned=True)


def _as_few(scatter: NDArray[np.float64]) -> NDArray[np.float64]:
    """(R, D) with the same products, R at most D."""
    return np.asarray(np.linalg.qr(scatter, mode="r")) if len(scatter) > scatter.shape[1] else scatter


def align_row(means: ClassMeans, place: int, others: Head, temperature: float) -> Head:
    """A row for one individual beside the rows of a head, which stay; from draws of all individuals (SLCA, section 3.3).

    Logistic regression in which this row alone is free; individuals weigh alike.

    Args:
        means: of all individuals, the one of the row among them.
        place: of that individual in `means`.
        others: rows of all others.
        temperature: by which the head's logits are divided.

    Returns:
        A head of one row.
    """
    drawn_of = np.flatnonzero(means.counts > 0)
    each = int(np.clip(_MOST_DRAWS // len(drawn_of), 2, _DRAWS))
    truth = np.repeat(drawn_of, each)
    drawn = means.draw(truth, seed=place)
    # Which of the others a picture is of does not matter: their logits do not change.
    from scipy.optimize import minimize  # 40 MB and half a second, which a run with nothing new does without
    from scipy.special import logsumexp

    rivals = logsumexp(others.scores(drawn).astype(np.float64) / temperature, axis=1)
    is_own = truth == place
    centre, spread = means.means[drawn_of].mean(0), means.means[drawn_of].var(0)
    scale = np.sqrt((means.scatter**2).sum(0) + means.level + spread)
    inputs = ((drawn - centre) / scale).astype(np.float32)
    start = others.weight.astype(np.float64).mean(0) / temperature
    first = np.append(start * scale, others.bias.astype(np.float64).mean() / temperature + start @ centre)

    def loss(row: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        own = inputs @ row[:-1].astype(np.float32) + row[-1]
        total = np.logaddexp(rivals, own)
        change = row - first
        change[-1] = 0.0
        residual = (np.exp(own - total) - is_own) / len(truth)
        slope = np.append((residual.astype(np.float32) @ inputs).astype(np.float64), residual.sum())
        value = float((total - np.where(is_own, own, rivals)).mean()) + _PENALTY * float(change @ change)
        return value, slope + 2 * _PENALTY * change

    found = minimize(loss, first, jac=True, method="L-BFGS-B", options={"maxiter": _STEPS}).x
    weight = temperature * found[:-1] / scale
    bias = temperature * found[-1] - weight @ centre
    return Head(weight[None].astype(np.float32), np.array([bias], np.float32))

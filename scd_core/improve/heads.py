"""New heads: a linear layer fitted to what the network's last layer reads, in seconds and without a gradient through it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scd_core.identify.class_means import NEVER, Head, fit_class_means
from scd_core.improve.names import HeadKind

__all__ = ["FITTED", "Floats", "fit_head"]

Floats = NDArray[np.float32]

FITTED = (HeadKind.LOGISTIC, HeadKind.CLASS_MEANS)
"""Kinds that are fitted to features, without a gradient through the network."""

_INVERSE_PENALTY = 0.1
_STEPS = 200


def fit_head(kind: HeadKind, features: Floats, truth: NDArray[np.int64], n_names: int) -> Head:
    """Fit a linear layer; every individual weighs alike, however many pictures it has.

    ``logistic``: multinomial logistic regression with an L2 penalty on standardised features. ``class_means``: the nearest
    class mean by Mahalanobis distance with one covariance for all classes, shrunk by Ledoit and Wolf's rule (J. Multivariate
    Analysis 2004): ``log p(c|x) = m_c' S^-1 x - m_c' S^-1 m_c / 2`` up to a constant, linear in x.

    Args:
        kind: which of the two.
        features: (N, D), as the network's last layer reads them.
        truth: (N,) individual of each, 0 to n_names - 1.
        n_names: K; a class that `truth` lacks is never named.

    Raises:
        ValueError: fewer than 2 individuals.
    """
    present = np.unique(truth)
    if len(present) < 2:
        raise ValueError(f"head: expected at least 2 individuals, got {len(present)}")
    if kind == HeadKind.CLASS_MEANS:
        return fit_class_means(features, truth, n_names).head()
    weight, bias = _logistic(features.astype(np.float64), truth)
    all_weights = np.zeros((n_names, features.shape[1]), np.float32)
    all_biases = np.full(n_names, NEVER, np.float32)
    all_weights[present], all_biases[present] = weight, bias
    return Head(all_weights, all_biases)


def _logistic(
    features: NDArray[np.float64], truth: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    from sklearn.linear_model import LogisticRegression  # half a second to import

    centre, scale = features.mean(0), features.std(0) + 1e-6
    model = LogisticRegression(C=_INVERSE_PENALTY, max_iter=_STEPS, class_weight="balanced", tol=1e-3)
    model.fit((features - centre) / scale, truth)
    coefficients, intercept = model.coef_, model.intercept_
    if len(coefficients) == 1:  # two classes share one row of coefficients, halved between them
        coefficients = np.concatenate((-coefficients, coefficients)) / 2
        intercept = np.concatenate((-intercept, intercept)) / 2
    weight = coefficients / scale
    return weight, intercept - weight @ centre

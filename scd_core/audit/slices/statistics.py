"""The statistics of the audit: Wilson intervals, the one-sided comparison of two rates, q-values."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

__all__ = ["benjamini_hochberg", "least_p_value", "n_testable", "rate_excess_p_value", "wilson_interval"]

Floats = NDArray[np.float64]


def wilson_interval(rate: ArrayLike, n: ArrayLike, confidence: float = 0.95) -> tuple[Floats, Floats]:
    """Wilson's score interval of a proportion (Wilson, JASA 1927).

    With z the normal quantile of `confidence`: centre ``(p + z²/2n) / (1 + z²/n)``, half-width
    ``z sqrt(p(1-p)/n + z²/4n²) / (1 + z²/n)``. An effective size in place of n gives the interval of a weighted rate
    (Korn and Graubard, Survey Methodology 1998).

    Args:
        rate: observed proportions, 0-1, any shape.
        n: numbers of trials they stand on, >= 0, need not be whole; 0 gives the interval 0-1.
        confidence: level, 0-1.

    Returns:
        Lower and upper ends, 0-1, the shape of `rate` and `n` together.

    >>> low, high = wilson_interval(0.5, 10)
    >>> round(float(low), 4), round(float(high), 4)
    (0.2366, 0.7634)
    """
    p, n = np.broadcast_arrays(np.asarray(rate, float), np.asarray(n, float))
    z2 = stats.norm.ppf(0.5 + confidence / 2) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        centre = (n * p + z2 / 2) / (n + z2)
        half = np.sqrt(z2 * (n * p * (1 - p) + z2 / 4)) / (n + z2)
    return np.where(p <= 0, 0.0, np.maximum(centre - half, 0.0)), np.where(p >= 1, 1.0, np.minimum(centre + half, 1.0))


def rate_excess_p_value(errors: ArrayLike, n: ArrayLike, base_errors: ArrayLike, base_n: ArrayLike) -> Floats:
    """One-sided p-value that a slice errs no more than its baseline, for counts that need not be whole.

    Fisher's exact one-sided p-value equals ``P(theta <= theta_0)`` for independent ``theta ~ Beta(x, n - x + 1)`` and
    ``theta_0 ~ Beta(x_0 + 1, n_0 - x_0)`` (Altham, JRSS B 1969). That form is continuous in the counts, so it extends
    the exact test to the effective counts of weighted events; on whole counts it is Fisher's test.

    Args:
        errors: effective errors of the slice, 0 <= errors <= n.
        n: effective events of the slice.
        base_errors: effective errors of the baseline.
        base_n: effective events of the baseline.

    Returns:
        p-values, 0-1; 1 where the slice has no error or either side no event.

    >>> p = rate_excess_p_value(8, 10, 3, 20)
    >>> round(float(p), 6) == round(float(stats.fisher_exact([[8, 2], [3, 17]], "greater").pvalue), 6)
    True
    """
    shape = np.broadcast(errors, n, base_errors, base_n).shape
    x, n, x0, n0 = (np.atleast_1d(a).astype(float) for a in np.broadcast_arrays(errors, n, base_errors, base_n))
    p = np.ones(x.shape)
    # A side that always errs has a degenerate Beta: nothing errs more than a baseline that always does.
    usable = (x > 0) & (n > 0) & (n0 - x0 > 1e-9)
    if usable.any():
        p[usable] = _beta_exceeds(x[usable], n[usable] - x[usable] + 1, x0[usable] + 1, n0[usable] - x0[usable])
    return p.reshape(shape)


def least_p_value(n: ArrayLike, errors: ArrayLike, n_all: ArrayLike) -> Floats:
    """The least p-value that Fisher's one-sided test can give a slice, whatever its share of the errors (Tarone 1990).

    With n of N visits in the slice and X errors among all, the most that can be inside is ``min(n, X)``, with the
    hypergeometric probability ``C(n, X) / C(N, X)`` where X <= n, else ``C(X, n) / C(N, n)``.

    Args:
        n: visits of the slice, need not be whole.
        errors: errors inside and outside, X.
        n_all: visits inside and outside, N.

    Returns:
        p-values, 0-1, the shape of all together; 1 where there is no error or nothing outside.

    >>> round(float(least_p_value(5, 3, 20)), 6) == round(float(stats.fisher_exact([[3, 2], [0, 15]], "greater").pvalue), 6)
    True
    """
    n, x, n_all = (np.asarray(a, float) for a in np.broadcast_arrays(n, errors, n_all))
    few, many = np.minimum(n, x), np.minimum(np.maximum(n, x), n_all)
    log_p = special.gammaln(many + 1) - special.gammaln(many - few + 1)
    log_p = log_p + special.gammaln(n_all - few + 1) - special.gammaln(n_all + 1)
    return np.where((few > 0) & (many < n_all), np.exp(np.minimum(log_p, 0.0)), 1.0)


def n_testable(least: ArrayLike, level: float, counts: ArrayLike | None = None) -> int:
    """How many hypotheses share a level, those left out that could not be rejected then whatever was seen.

    Tarone's number (Biometrics 1990): the smallest K for which at most K hypotheses have a least p-value of at most level / K.
    The least p-values depend on margins alone, so leaving the others out does not look at the outcome; Gilbert (JRSS C 2005)
    applies Benjamini-Hochberg's procedure to those that remain.

    Args:
        least: (m,) least p-values (:func:`least_p_value`).
        level: level that they share, 0-1.
        counts: (m,) hypotheses that each value stands for; None is one.

    >>> n_testable([1e-6, 1e-5, 0.02, 0.5, 1.0, 1.0], 0.05)
    2
    """
    p = np.ravel(np.asarray(least, float))
    many = np.ones(p.size) if counts is None else np.ravel(np.asarray(counts, float))
    low, high = 0, int(many.sum())  # the number is above low and at most high
    while high - low > 1:
        middle = (low + high) // 2
        if many[p <= level / middle].sum() <= middle:
            high = middle
        else:
            low = middle
    return high


def _beta_exceeds(a: Floats, b: Floats, a0: Floats, b0: Floats) -> Floats:
    """``P(Beta(a, b) <= Beta(a0, b0))`` by the trapezoidal rule over the log-odds, where the integrand decays smoothly."""

    centre = special.digamma(a0) - special.digamma(b0)
    spread = np.sqrt(special.polygamma(1, a0) + special.polygamma(1, b0))
    # Far to the right, because that is where a small p-value comes from.
    start, stop = centre - 14 * spread, centre + 40 * spread
    nodes = np.linspace(0.0, 1.0, 401)
    p = np.empty(a.shape)
    for block in range(0, a.size, 512):
        part = slice(block, block + 512)
        t = start[part, None] + (stop - start)[part, None] * nodes
        theta = special.expit(t)
        log_density = (
            a0[part, None] * special.log_expit(t)
            + b0[part, None] * special.log_expit(-t)
            - special.betaln(a0, b0)[part, None]
        )
        values = np.exp(log_density) * special.betainc(a[part, None], b[part, None], theta)
        p[part] = values.sum(axis=1) * (stop - start)[part] / 400
    return np.clip(p, 0.0, 1.0)


def benjamini_hochberg(p_values: ArrayLike, n_tests: ArrayLike | None = None) -> Floats:
    """q-values: smallest false discovery rate at which each test is rejected (Benjamini and Hochberg, JRSS B 1995).

    With `n_tests` the procedure is the weighted one (Genovese, Roeder, Wasserman, Biometrika 2006): a test that counts as
    one of `n_tests` has the weight m / n_tests. Families of tests that each count all F families at their own size,
    ``n_tests = F * m_f``, get equal shares of the error rate, so that a family of many does not drown one of few; and
    tests that are not in `p_values` because their p-value is 1 still count.

    Args:
        p_values: (m,) p-values, 0-1.
        n_tests: number of tests that each p-value counts as one of, one for all or (m,); None is m.

    Returns:
        (m,) q-values, 0-1, in the same order: with s = p * n_tests, the least s / rank(s) among those not below.

    >>> benjamini_hochberg([0.01, 0.04, 0.03]).round(3).tolist()
    [0.03, 0.04, 0.04]
    >>> benjamini_hochberg([0.01, 0.04, 0.03], n_tests=6).round(3).tolist()
    [0.06, 0.08, 0.08]
    >>> benjamini_hochberg([0.01, 0.01], n_tests=[2, 100]).round(3).tolist()
    [0.02, 0.5]
    """
    p = np.asarray(p_values, float)
    if not p.size:
        return p
    scaled = p * (p.size if n_tests is None else np.asarray(n_tests, float))
    order = np.argsort(scaled, kind="stable")
    by_rank = scaled[order] / np.arange(1, p.size + 1)
    q = np.empty_like(p)
    q[order] = np.minimum.accumulate(by_rank[::-1])[::-1].clip(max=1.0)
    return q

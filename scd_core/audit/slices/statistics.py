"""The statistics of the audit: Wilson intervals, the one-sided comparison of two rates, q-values."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from scd_core.audit.errors.strata import log_choose

__all__ = [
    "LEVELS",
    "benjamini_hochberg",
    "n_expected",
    "n_expected_together",
    "rate_excess_p_value",
    "wilson_interval",
]

Floats = NDArray[np.float64]

_LARGE = 40
"""Margins up to which the values that a test can take are counted one by one."""
_NODES = 401
"""Values of an integrand that an integral is made of."""

LEVELS = np.concatenate([np.logspace(-300, -12, 3000, endpoint=False), np.logspace(-12, 0, 1400)])
"""p-values at which chance is known, each next one 2 % larger where it matters; what lies between counts as the next one."""


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
    z2 = special.ndtri(0.5 + confidence / 2) ** 2
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

    >>> from scipy import stats
    >>> p = rate_excess_p_value(8, 10, 3, 20)
    >>> round(float(p), 6) == round(float(stats.fisher_exact([[8, 2], [3, 17]], "greater").pvalue), 6)
    True
    """
    shape = np.broadcast(errors, n, base_errors, base_n).shape
    x, n, x0, n0 = (np.atleast_1d(a).astype(float) for a in np.broadcast_arrays(errors, n, base_errors, base_n))
    p = np.ones(x.shape)
    # A side that always errs has a degenerate Beta: nothing errs more than a baseline that always does.
    usable = (x > 0) & (n > 0) & (n0 - x0 > 1e-9)
    # Of whole counts the chances can be summed; they fall within ten deviations, mostly a few terms.
    spread = np.sqrt(n * n0 * (x + x0) * np.maximum(n + n0 - x - x0, 0)) / np.maximum(n + n0, 1) ** 1.5
    is_sum = usable & (10 * spread < _NODES) & np.all([a == np.rint(a) for a in (x, n, x0, n0)], axis=0)
    if is_sum.any():
        p[is_sum] = _tail(*(a[is_sum] for a in (x, n, x + x0, n + n0)))
    usable &= ~is_sum
    if usable.any():
        p[usable] = _beta_exceeds(x[usable], n[usable] - x[usable] + 1, x0[usable] + 1, n0[usable] - x0[usable])
    return p.reshape(shape)


def n_expected(
    p_values: ArrayLike, n: ArrayLike, errors: ArrayLike, n_all: ArrayLike, counts: ArrayLike, min_errors: int = 1
) -> Floats:
    """How many of some hypotheses have a p-value as small, on average, where none is true.

    Counts are whole, so Fisher's test of a slice takes few values. The chance that it is at most p is the largest of them that
    is: mostly far below p, and 0 where even all errors inside would not make it so small (Tarone, Biometrics 1990). It depends
    on margins alone: n of N visits in the slice, X errors among all. Its sum over hypotheses in place of m p makes Benjamini and
    Hochberg's procedure that of Heyse for discrete tests (JASA 2011). Where the smaller margin is above 40, it is taken to be p.

    Args:
        p_values: (k,) p-values, 0-1.
        n: (m,) visits of each slice; rounded.
        errors: (m,) errors inside and outside, X.
        n_all: (m,) visits inside and outside, N.
        counts: (m,) hypotheses with these margins.
        min_errors: fewest errors with which a slice can be rejected.

    Returns:
        (k,) expected numbers, not above m p.

    >>> round(float(n_expected([0.01], [5], [3], [20], [100])[0]), 3), round(100 * 10 / 1140, 3)
    (0.877, 0.877)
    """
    p = np.asarray(p_values, float)
    inside, x, whole, many = (np.rint(np.asarray(a, float)) for a in np.broadcast_arrays(n, errors, n_all, counts))
    most = np.minimum(inside, x)
    is_large = most > _LARGE
    order = np.argsort(p)
    steps_at = np.zeros(p.size + 1)
    rows = np.flatnonzero(~is_large & (most >= min_errors) & (np.maximum(inside, x) < whole))
    for block in range(0, rows.size, 8192):
        part = rows[block : block + 8192]
        tails, steps = _tails(inside[part], x[part], whole[part])
        can_be = (steps > 0) & (np.arange(_LARGE + 1) >= min_errors)
        # A test's value counts from the first p-value on that is not below it (as far as the rule of integration is exact).
        first = np.searchsorted(p[order], 0.99 * tails[can_be])
        weights = (steps * many[part, None])[can_be]
        steps_at += np.bincount(first, weights, minlength=p.size + 1)
    expected = np.empty(p.size)
    expected[order] = np.cumsum(steps_at[: p.size])
    return expected + p * many[is_large].sum()


def n_expected_together(p_values: ArrayLike, of: ArrayLike, by_level: ArrayLike, shares: ArrayLike) -> Floats:
    """How many hypotheses of all families chance would put as far up as each of some p-values, where none is true.

    Families share the error rate: a p-value stands where its family expects ``s * share`` as small ones, and of each other family
    those count of which that family expects at most ``s`` times its own share. Few values being possible, that is often less;
    the sum over families is the number that Heyse's procedure needs, as it is within one family (:func:`n_expected`).

    Args:
        p_values: (k,) p-values, 0-1.
        of: (k,) the family of each, 0 to f - 1.
        by_level: (f, l) numbers that each family expects up to each of :data:`LEVELS`.
        shares: (f,) shares of the error rate, which add up to 1.

    Returns:
        (k,) expected numbers, not above what the p-value's own family expects over its share.

    >>> by_level = np.stack([100 * LEVELS, np.where(LEVELS < 0.1, 0.0, 1.0)])  # the second one never has a small p-value
    >>> n_expected_together([0.001], [0], by_level, [0.5, 0.5]).round(2), round(100 * 0.001 / 0.5, 2)
    (array([0.1]), 0.2)
    """
    p, of, curves = np.asarray(p_values, float), np.asarray(of, int), np.asarray(by_level, float)
    own = curves[of, np.searchsorted(LEVELS, p).clip(max=LEVELS.size - 1)]
    at = own / np.asarray(shares, float)[of] * (1 + 1e-9)
    total = np.zeros(p.size)
    for curve, share in zip(curves, np.asarray(shares, float), strict=True):
        total += np.concatenate([[0.0], curve])[np.searchsorted(curve, share * at, "right")]
    return total


def _tails(n: Floats, x: Floats, n_all: Floats) -> tuple[Floats, Floats]:
    """(m, k) hypergeometric chances of at least, and of exactly, 0, 1, ... errors inside; 0 beyond what there can be."""
    k = np.arange(_LARGE)
    start = special.gammaln(n_all - n + 1) + special.gammaln(n_all - x + 1) - special.gammaln(n_all + 1)
    # With n + x > N the slice is most of all there is; such a test is never small.
    least = np.maximum(n + x - n_all, 0.0)
    start = np.exp(start - special.gammaln(np.maximum(n_all - n - x, 0.0) + 1))
    ratio = (
        (n[:, None] - k) * (x[:, None] - k) / ((k + 1) * np.maximum(n_all - n - x, 0.0)[:, None] + (k + 1) * (k + 1))
    )
    ratio = np.where(least[:, None] > 0, 0.0, np.maximum(ratio, 0.0))
    exactly = start[:, None] * np.concatenate([np.ones((n.size, 1)), np.cumprod(ratio, axis=1)], axis=1)
    return np.cumsum(exactly[:, ::-1], axis=1)[:, ::-1], exactly


def _tail(x: Floats, n: Floats, x_all: Floats, n_all: Floats) -> Floats:
    """(m,) hypergeometric chances that x or more of the x_all errors among n_all visits fall on n of them; whole numbers."""
    ways = log_choose(n, x) + log_choose(n_all - n, x_all - x) - log_choose(n_all, x_all)
    total = np.ones(x.shape)  # of the chances, each over that of x
    k, term, open_ = x.copy(), np.ones(x.shape), np.arange(x.size)
    left = np.array([n, x_all, n_all - n - x_all])
    while open_.size:
        inside, errors, others = left[:, open_]
        k = k + 1
        with np.errstate(over="ignore"):  # far below the expected number, where the chance is 1
            term = term * (inside - k + 1) * (errors - k + 1) / (k * (others + k))
        total[open_] += term
        # Once the terms fall, they fall ever faster.
        goes_on = (term > 1e-17 * total[open_]) | (k * (inside + errors + others) < inside * errors)
        goes_on &= (k < inside) & (k < errors)
        open_, k, term = open_[goes_on], k[goes_on], term[goes_on]
    return np.minimum(np.exp(ways + np.log(total)), 1.0)


def _beta_exceeds(a: Floats, b: Floats, a0: Floats, b0: Floats) -> Floats:
    """``P(Beta(a, b) <= Beta(a0, b0))`` by the trapezoidal rule over the log-odds, where the integrand decays smoothly.

    The integral is over the narrower of the two, because the other one is no smooth step between its nodes.
    """
    swap = special.polygamma(1, a) + special.polygamma(1, b) < special.polygamma(1, a0) + special.polygamma(1, b0)
    # Mirrored, the second one comes first.
    a, b, a0, b0 = (np.where(swap, one, other) for one, other in ((b0, a), (a0, b), (b, a0), (a, b0)))
    centre = special.digamma(a0) - special.digamma(b0)
    spread = np.sqrt(special.polygamma(1, a0) + special.polygamma(1, b0))
    # Far to the right, because that is where a small p-value comes from.
    start, stop = centre - 14 * spread, centre + 40 * spread
    nodes = np.linspace(0.0, 1.0, _NODES)
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
        p[part] = values.sum(axis=1) * (stop - start)[part] / (_NODES - 1)
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

"""When a slice began to err: the change point of its error rate, with an interval, where there is one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy.special import betaln, xlogy

from scd_core.audit.slices.data import DAY, SliceData, slice_members
from scd_core.audit.slices.tested import TestedSlice
from scd_core.audit.wording import day_of_month, week_words

__all__ = ["Onset", "find_onset", "onset_words", "set_onset", "visit_times"]

LEVEL = 0.01
"""Level of the test against a rate that never changed."""
CONFIDENCE = 0.95
_DRAWS = 999
_SEED = 16

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Onset:
    """The day of a change, and the days between which it may have been; numbers of days."""

    day: int
    low: int
    high: int


def find_onset(day: Ints, errors: Floats, n: Floats) -> Onset | None:
    """The day from which on a rate of errors is higher, by the likelihood of independent visits that err or not.

    The change is where the likelihood ratio of two rates, the later one higher, against one rate is largest. It is one where
    that ratio is among the largest hundredth of those of as many errors drawn at random among the visits (:data:`LEVEL`; 999
    draws of a stored seed). The interval holds 95 % of the posterior over the days, each as likely before, with the two rates
    integrated out (Beta(1/2, 1/2) each; Smith, Biometrika 1975).

    Args:
        day: (d,) days with visits, in order, each once.
        errors: (d,) visits that err.
        n: (d,) visits; need not be whole.

    Returns:
        The first day with visits of the higher rate, and the interval; None where no change is seen.

    >>> day = np.arange(60)
    >>> find_onset(day, np.where(day < 30, 0.0, 2.0), np.full(60, 3.0))
    Onset(day=30, low=29, high=30)
    >>> find_onset(day, np.ones(60), np.full(60, 3.0)) is None
    True
    """
    # Whole visits of the same sum, so that errors can be drawn among them.
    whole = np.maximum(np.diff(np.rint(n.cumsum()), prepend=0.0), errors).astype(np.int64)
    total = int(errors.sum())
    if day.size < 2 or total < 2 or total >= whole.sum():
        return None
    ratio = _ratios(errors[None], whole)[0]
    rng = np.random.default_rng(_SEED)
    drawn = rng.multivariate_hypergeometric(whole, total, _DRAWS, method="marginals").astype(np.float64)
    by_chance = _ratios(drawn, whole).max(axis=1)
    if (1 + (by_chance >= ratio.max() - 1e-9).sum()) / (1 + _DRAWS) > LEVEL:
        return None
    best = int(ratio.size - 1 - ratio[::-1].argmax()) + 1
    low, high = _interval(day, errors, whole)
    return Onset(int(day[best]), min(low, int(day[best])), max(high, int(day[best])))


def _ratios(errors: Floats, n: Floats) -> Floats:
    """(k, d - 1) log-likelihood ratios of a higher rate from day 1, 2, ... on; 0 where it is not higher."""
    x1, n1 = errors.cumsum(axis=1)[:, :-1], n.cumsum()[:-1]
    x, n_all = errors.sum(axis=1, keepdims=True), n.sum()
    x2, n2 = x - x1, n_all - n1
    fit = _log_likelihood(x1, n1) + _log_likelihood(x2, n2) - _log_likelihood(x, n_all)
    return np.where(x2 * n1 > x1 * n2, fit, 0.0)


def _interval(day: Ints, errors: Floats, n: Floats) -> tuple[int, int]:
    """The days between which 95 % of the posterior of the first day of the higher rate lies, days without visits included."""
    first = np.arange(day[0] + 1, day[-1] + 1)
    before = np.searchsorted(day, first)  # how many days with visits lie before
    x1, n1 = errors.cumsum()[before - 1], n.cumsum()[before - 1]
    x2, n2 = errors.sum() - x1, n.sum() - n1
    fit = betaln(x1 + 0.5, n1 - x1 + 0.5) + betaln(x2 + 0.5, n2 - x2 + 0.5)
    fit = np.where(x2 * n1 > x1 * n2, fit, -np.inf)
    weight = np.exp(fit - fit.max())
    share = weight.cumsum() / weight.sum()
    low, high = np.searchsorted(share, ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2 - 1e-12))
    return int(first[low]), int(first[min(high, first.size - 1)])


def _log_likelihood(x: Floats, n: Floats | float) -> Floats:
    rate = x / np.maximum(n, 1)
    return xlogy(x, rate) + xlogy(n - x, 1 - rate)


def visit_times(data: SliceData) -> Ints:
    """(n,) first picture of each visit, microseconds on the camera's clock; -1 where it is not known.

    Of unlabelled visits only the week is known: they count in its middle.
    """
    v = data.n_visits
    taken = data.rows["captured_at"].combine_chunks().cast(pa.int64())
    first = np.full(v, np.iinfo(np.int64).max)
    np.minimum.at(first, data.visit, pc.fill_null(taken, first.max(initial=0)).to_numpy())
    middle = [datetime.strptime(f"{week}-4", "%G-W%V-%u").replace(tzinfo=UTC) for week in data.values["week"]]
    weeks = np.array([*(one.timestamp() * 1e6 for one in middle), -1.0])[data.codes["week"][v:]].astype(np.int64)
    return np.concatenate([np.where(first == np.iinfo(np.int64).max, -1, first), weeks])


def set_onset(data: SliceData, tested: TestedSlice, times: Ints) -> None:
    """Set ``onset``, ``onset_low`` and ``onset_high`` of a slice where a change is seen; a slice of one week has none.

    Visits count as they do when slices are found.

    Args:
        data: the visits.
        tested: the slice; changed in place.
        times: (n,) of :func:`visit_times`.
    """
    values = dict(tested.slice)
    if "week" in values:
        return
    members = slice_members(data, values)
    taken = times[members.rows]
    is_known = taken >= 0
    day, place = np.unique(taken[is_known] // DAY, return_inverse=True)
    n = np.bincount(place, data.exposure[members.rows][is_known], minlength=day.size).astype(np.float64)
    errors = np.bincount(place, members.is_error[is_known], minlength=day.size)
    if found := find_onset(day, errors.astype(np.float64), n):
        # The first day of the higher rate has an error of it, so a labelled visit.
        since = is_known & (taken // DAY >= found.day) & members.is_error
        tested.onset = _time(int(taken[since].min()))
        tested.onset_low, tested.onset_high = _time(found.low * DAY), _time(found.high * DAY)


def onset_words(onset: datetime, low: datetime, high: datetime, first_error: datetime) -> str:
    """When a slice began to err, in words; where it erred before, that it errs more.

    >>> days = [datetime(2026, 4, day) for day in (15, 12, 17)]
    >>> onset_words(*days, datetime(2026, 4, 15))
    'wrong since the week of 13 April 2026 (12 April to 17 April)'
    >>> onset_words(*days, datetime(2026, 3, 1))
    'more often wrong since the week of 13 April 2026 (12 April to 17 April)'
    """
    start = "wrong" if first_error >= onset else "more often wrong"
    return f"{start} since {week_words(f'{onset:%G-W%V}')} ({day_of_month(low)} to {day_of_month(high)})"


def _time(micros: int) -> datetime:
    return datetime.fromtimestamp(micros / 1e6, UTC).replace(tzinfo=None)

"""The overall error rate: from labels by their chance to be given, and from what is known of every picture (PPI++)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, hstack

from scd_core.audit.report.facts import need_facts
from scd_core.audit.slices.statistics import wilson_interval
from scd_core.audit.sql import load_sql
from scd_core.names import ErrorType, Stratum

__all__ = ["OverallRate", "Rates", "overall_rates"]

_SAMPLE = 200_000
"""Named pictures from which on the means over all pictures are taken over a part of the events."""
_FOLDS = 5
_REGULAR = 0.2
"""Inverse strength of the ridge: with 1, intervals of 24 worlds were a tenth too narrow."""
_MIN_WRONG = 5
"""Labelled visits that err, and that do not, from which on errors are foretold."""
_MAX_VISITS = 20_000
"""Labelled visits from which on the interval is narrow without foretold errors, which would take long."""
_MIN_GAIN = 1.05
"""How many times smaller the variance has to be for the foretold errors to be used."""
_PRIOR = 2.0
"""Visits of the ordinary rate that each stratum's variance is estimated with, so that few right ones are not taken for all."""
_NO_NAME = ErrorType.EXCLUSION
_MEASURES = ("margin", "is_masked", "is_flip", "background")

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class OverallRate:
    """An error rate of all events, 0-1, with its interval."""

    rate: float
    low: float
    high: float
    n_effective: float
    """Visits that would give the rate as exactly, were they drawn at random and nothing else known."""
    gain: float
    """How many times as many labels it would take without foretold errors; 1 where they are not used."""


@dataclass(frozen=True)
class Rates:
    """What the labels are enough for."""

    share: float
    """Share of the named pictures, in batches with labels, that a label stands for, by events; the rates are of these."""
    first: OverallRate | None
    """Of the model's own names; None where nothing that nobody flagged is labelled, though there is such."""
    final: OverallRate | None
    """Of the names after masks."""


def overall_rates(connection: duckdb.DuckDBPyConnection, confidence: float = 0.95) -> Rates:
    """How many names are wrong, each event counting once, in the batches with labels.

    A labelled picture stands for ``event_weight`` events. Within the strata of ``label_probability``, over all batches, the rate
    is ``sum_h W_h mean_h(y)``, with W_h the stratum's share of all events. Prediction-powered inference (Angelopoulos, Duchi,
    Zrnic, PPI++, 2023) takes f, the probability of an error as foretold by what is known of every picture, and gives
    ``sum_h W_h (a F_h + mean_h(y - a f))``, F_h the mean of f over all pictures of the stratum. It is as free of bias whatever f
    is. The power a between 0 and 1 makes the variance smallest. f is a logistic regression on the probability, the margin,
    whether masks change the name, the evidence outside the animal and triage's reason, cross-fitted over five folds of visits
    (Zrnic, Candes, PNAS 2024). Where the variance is not smaller by a twentieth, a is 0.

    The variance is that of sums over visits, which are the independent proofs, less the labelled share of each stratum. The
    interval puts Wilson's intervals of the strata together, so that one of few visits is as wide as few visits are.

    Args:
        connection: database with the audit's tables, ``errors`` of the newest report among them.
        confidence: level of the intervals.
    """
    need_facts(connection)
    for name in ("primary_reason", "drawn_by"):
        connection.execute(load_sql("scd_core.audit.errors", name))
    sizes = connection.execute(_sql("rate_size")).fetchnumpy()
    ((n_visits,),) = connection.execute(_sql("rate_visits")).fetchall()
    if not n_visits:
        return Rates(0.0, None, None)
    if n_visits > _MAX_VISITS:
        return _rates(_Sample(_labelled(connection), sizes), confidence)
    connection.execute(_sql("rate_frames"), {"every": max(1, int(np.sum(sizes["n_pictures"])) // _SAMPLE)})
    labelled = connection.execute(_sql("rate_labelled")).fetchnumpy()
    kinds = connection.execute(_sql("rate_kinds")).fetchnumpy()
    connection.execute("DROP TABLE rate_frames")
    return _rates(_Sample(labelled, kinds, is_foretold=True), confidence)


def _labelled(connection: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """Columns of the query `rate_many`, visits as numbers, because there are millions of rows."""
    rows = connection.sql(_sql("rate_many")).to_arrow_table()
    visits = rows["visit"].combine_chunks().dictionary_encode().indices
    return {name: rows[name].to_numpy() for name in rows.column_names if name != "visit"} | {"visit": visits.to_numpy()}


def _sql(name: str) -> str:
    return load_sql("scd_core.audit.report", name)


class _Sample:
    """Labelled pictures in strata, and kinds of all pictures; without what may foretell errors, a kind is a stratum."""

    def __init__(self, labelled: dict[str, Any], kinds: dict[str, Any], is_foretold: bool = False) -> None:
        names = sorted({*labelled["stratum"].tolist(), *kinds["stratum"].tolist()})
        places = {name: place for place, name in enumerate(names)}
        self.stratum = np.array([places[name] for name in labelled["stratum"].tolist()], np.int64)
        self.visit = np.unique(labelled["visit"], return_inverse=True)[1].astype(np.int64)
        self.weight = labelled["event_weight"].astype(np.float64)
        self.wrong = {False: labelled["is_wrong"].astype(float), True: labelled["is_wrong_after"].astype(float)}
        self.of_kind = np.array([places[name] for name in kinds["stratum"].tolist()], np.int64)
        self.kind_size = kinds["n_events"].astype(np.float64)
        self.features: tuple[csr_array, csr_array] | None = None
        if is_foretold:
            known = {key: np.unique(labelled[key].astype(str)) for key in ("stratum", "camera", "name")}
            self.features = _features(labelled, known), _features(kinds, known)
        sums = np.bincount(self.stratum, self.weight, minlength=len(names))
        size = np.bincount(self.of_kind, self.kind_size, minlength=len(names))
        if _NO_NAME in places:
            size[places[_NO_NAME]] = sums[places[_NO_NAME]]
        is_rated = sums > 0
        self.covered = float(size[is_rated].sum() / max(size.sum(), 1e-300))
        unflagged = places.get(Stratum.UNFLAGGED)
        self.has_rate = bool(size[is_rated].sum() > 0) and (unflagged is None or bool(is_rated[unflagged]))
        self.size = np.where(is_rated, size, 0.0) / max(float(size[is_rated].sum()), 1e-300)
        seen = np.bincount(
            self.stratum, self.weight * labelled["label_probability"].astype(float), minlength=len(names)
        )
        self.unseen = 1 - np.divide(seen, sums, out=np.ones_like(sums), where=is_rated)
        # Of each picture the part of the rate that it is.
        self.part = self.size[self.stratum] * self.weight / sums[self.stratum]

    def means(self, values: Floats) -> Floats:
        """(h,) weighted means of the strata."""
        sums = np.bincount(self.stratum, self.weight, minlength=self.size.size)
        total = np.bincount(self.stratum, self.weight * values, minlength=self.size.size)
        return np.divide(total, sums, out=np.zeros_like(sums), where=sums > 0)

    def residuals(self, values: Floats) -> Floats:
        """(v, h) what each visit adds, in each stratum, to the deviation of the estimated mean."""
        left = (
            self.part
            * np.sqrt(np.maximum(self.unseen, 0.0))[self.stratum]
            * (values - self.means(values)[self.stratum])
        )
        shape = int(self.visit.max()) + 1, self.size.size
        flat = np.bincount(self.visit * shape[1] + self.stratum, left, minlength=shape[0] * shape[1])
        return flat.reshape(shape).astype(np.float64)

    def variance(self, values: Floats, ordinary: float) -> float:
        """Of the estimated mean; no stratum's variance is taken for much less than the ordinary one of few visits."""
        residuals = self.residuals(values)
        v = len(residuals)
        found = float((residuals.sum(axis=1) ** 2).sum()) * v / max(v - 1, 1)
        scale = self.size**2 * self.unseen
        n = self._visits()
        spread = np.divide((residuals**2).sum(axis=0) * n, scale, out=np.zeros_like(n), where=scale > 0)
        missing = np.maximum(ordinary * (1 - ordinary) - spread, 0.0) * _PRIOR / (n + _PRIOR)
        return found + float((scale * np.divide(missing, n, out=np.zeros_like(n), where=n > 0)).sum())

    def interval(self, values: Floats, rate: float, gain: float, confidence: float) -> tuple[float, float]:
        """Ends of the interval of a rate, from Wilson's intervals of the strata's means.

        With l and u the ends of a stratum's, the rate's are ``rate - sqrt(sum_h (W_h (mean_h - l_h))^2)`` and the like above (Zou
        and Donner, Stat. Med. 2008). A stratum of few visits, all of them right, so has the error that it may have.

        Args:
            values: (r,) whether each labelled picture is wrong.
            rate: the estimated rate.
            gain: how many times as many visits the labels are worth by foretold errors.
            confidence: level, 0-1.
        """
        residuals = self.residuals(values)
        alone = float((residuals**2).sum())
        # Strata of the same visits err together.
        together = max(1.0, float((residuals.sum(axis=1) ** 2).sum()) / alone) if alone > 0 else 1.0
        means, n = self.means(values), self._visits() * gain / together
        low, high = wilson_interval(means, n / np.maximum(self.unseen, 1e-9), confidence)
        below, above = (float(np.sqrt((self.size**2 * (means - end) ** 2).sum())) for end in (low, high))
        return max(0.0, rate - below), min(1.0, rate + above)

    def _visits(self) -> Floats:
        """(h,) equally weighted visits of each stratum that are worth its labels."""
        shape = int(self.visit.max()) + 1, self.size.size
        flat = np.bincount(self.visit * shape[1] + self.stratum, self.weight, minlength=shape[0] * shape[1])
        weights = flat.reshape(shape)
        squares = (weights**2).sum(axis=0)
        return np.divide(weights.sum(axis=0) ** 2, squares, out=np.zeros_like(squares), where=squares > 0)

    @property
    def n_visits(self) -> float:
        """Equally weighted visits that are worth all labels."""
        weights = np.bincount(self.visit, self.part)
        return float(weights.sum() ** 2 / (weights**2).sum())


def _features(rows: dict[str, Any], known: dict[str, NDArray]) -> csr_array:
    """(r, k) what may foretell an error, of the size of one: measures, and which reason, camera and name it is."""
    p = np.clip(rows["probability"].astype(float), 0.01, 0.99)
    measures = [np.log(p / (1 - p)) / 2, *(rows[key].astype(float) for key in _MEASURES)]
    parts = [csr_array(np.stack(measures, axis=1))]
    for key, values in known.items():
        code = np.minimum(np.searchsorted(values, rows[key].astype(str)), values.size - 1)
        found = np.flatnonzero(values[code] == rows[key].astype(str))
        parts.append(csr_array((np.ones(found.size), (found, code[found])), shape=(p.size, values.size)))
    return csr_array(hstack(parts))


def _rates(sample: _Sample, confidence: float) -> Rates:
    if not sample.has_rate:
        return Rates(sample.covered, None, None)
    first, final = (_rate(sample, sample.wrong[is_final], confidence) for is_final in (False, True))
    return Rates(sample.covered, first, final)


def _rate(sample: _Sample, wrong: Floats, confidence: float) -> OverallRate:
    rate = float(sample.size @ sample.means(wrong))
    ordinary = min(max(rate, 0.5 / len(wrong)), 0.5)
    variance = plain = sample.variance(wrong, ordinary)
    foretold = _foretell(sample, wrong)
    if foretold is not None and plain > 0:
        of_labelled, of_strata = foretold
        on, by = sample.residuals(wrong).sum(axis=1), sample.residuals(of_labelled).sum(axis=1)
        power = float(np.clip(on @ by / max(by @ by, 1e-300), 0, 1))
        smaller = sample.variance(wrong - power * of_labelled, ordinary)
        if plain >= _MIN_GAIN * smaller:
            variance = smaller
            rate += power * float(sample.size @ (of_strata - sample.means(of_labelled)))
    rate = float(np.clip(rate, 0, 1))
    n = rate * (1 - rate) / variance if variance > 0 and 0 < rate < 1 else sample.n_visits
    n = min(n, float(sample.kind_size.sum()) + len(wrong))
    gain = plain / variance if variance > 0 else 1.0
    if variance > 0:
        low, high = sample.interval(wrong, rate, gain, confidence)
    else:
        low, high = (float(end) for end in wilson_interval(rate, n, confidence))
    return OverallRate(rate, low, high, n, gain)


def _foretell(sample: _Sample, wrong: Floats) -> tuple[Floats, Floats] | None:
    """Probabilities of an error of the labelled pictures, each from the other folds, and their means over the strata."""
    by_visit = np.bincount(sample.visit, wrong) > 0
    if sample.features is None or min(by_visit.sum(), (~by_visit).sum()) < _MIN_WRONG:
        return None
    from sklearn.linear_model import LogisticRegression  # slow to import, and most runs need none

    rows, kinds = sample.features
    fold = np.random.default_rng(0).permutation(by_visit.size)[sample.visit] % _FOLDS
    weight = sample.part / sample.part.mean()
    own, means = np.zeros(wrong.size), np.zeros(sample.size.size)
    total = np.bincount(sample.of_kind, sample.kind_size, minlength=sample.size.size)
    for one in range(_FOLDS):
        others = fold != one
        if wrong[others].min() == wrong[others].max():
            return None
        model = LogisticRegression(C=_REGULAR, max_iter=1000).fit(
            rows[others], wrong[others], sample_weight=weight[others]
        )
        own[~others] = model.predict_proba(rows[~others])[:, 1] if (~others).any() else 0.0
        of_kinds = np.bincount(
            sample.of_kind, sample.kind_size * model.predict_proba(kinds)[:, 1], minlength=sample.size.size
        )
        means += np.divide(of_kinds, total, out=np.zeros_like(total), where=total > 0) / _FOLDS
    # A picture without a name stands for itself: there is nothing to foretell.
    is_alone = np.bincount(sample.of_kind, minlength=sample.size.size)[sample.stratum] == 0
    return np.where(is_alone, 0.0, own), means

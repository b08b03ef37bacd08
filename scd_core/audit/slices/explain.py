"""Which systematic slices explain others: of overlapping slices, those that fit the errors best stand for themselves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from scd_core.audit.slices.cells import slice_codes
from scd_core.audit.slices.condense import condensed
from scd_core.audit.slices.counts import FROM_LABELS, Counts, in_kind_counts, total_errors
from scd_core.audit.slices.data import PAIR, Members, SliceData, has_keys, is_of, slice_members
from scd_core.audit.slices.describe import main_cause
from scd_core.audit.slices.tested import TestedSlice
from scd_core.config import SliceConfig
from scd_core.names import Cause

__all__ = ["explain"]

_CLOSE = 0.05
"""Explanations whose likelihoods differ by less than this share are equally good; the simpler is taken."""
_WEAK = [list(Cause).index(cause) for cause in (Cause.CONFUSABLE_PAIR, Cause.UNEXPLAINED)]
"""Causes that only mean that no other one shows."""
_MOST = 0.7
"""Share of a place's errors that its parts must hold to be joined into it."""
_CIRCUMSTANCES = ("deployment_id", "light", "hour", "model_digest", "labelled_by", "week")
"""Keys whose values may be joined: they are about when and by whom, not about where, who or why."""
_SPLIT = 0.01
"""Level, over all splits tried, at which a slice is seen as made of unlike parts."""

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def explain(data: SliceData, rows: list[TestedSlice], config: SliceConfig) -> None:
    """Set ``folded_into`` of every systematic slice that another one explains.

    Sequential removal, as for spatial scan statistics with several clusters (Zhang, Assuncao, Kulldorff, Int. J. Health
    Geographics 2010). The slice whose split of the visits into inside and outside fits the errors best (largest
    Bernoulli likelihood ratio, Kulldorff 1997) stands; its rows are taken out; every other slice is tested again on the
    rest, and one that no longer differs from its baseline at the level that the report's q-values were cut at is explained
    by it. Then the next best of what is left, until nothing is left. So a camera whose errors all belong to one
    individual is explained by camera-and-individual, and an individual that errs only at one bad camera by the camera.

    A wide slice can fit best because two narrow ones meet in it. So before a slice stands, those that cut through it are
    tried: where the part inside one errs more than the part outside (one-sided, 0.01 over the number tried), the one that
    splits it best goes first, and the wide one has to stand on what is left.

    Two kinds of errors may meet in the visits of one slice: an individual looks like another one, and is given many other names
    too. Where the slice's errors have no cause in common, and at least half are given one name that has one, that name goes
    first (:func:`_with_cause`).

    Among explanations that fit equally well the one with fewer keys stands. A slice of the predicted name alone stands only
    where nothing else explains it: being called B is a consequence, not a circumstance. So does one of a week: what changed
    at a camera in a week is the camera's error, with an onset. Last, parts of one place that
    differ only in the value of one circumstance (labeller, hour, ...) and hold most of its errors are joined into the place.

    Args:
        data: the visits.
        rows: the tested slices; changed in place.
        config: limits.
    """
    open_rows = [row for row in rows if row.is_systematic]
    whole = data
    data = condensed(data, [dict(row.slice) for row in open_rows])
    cuts: dict[str | None, float] = {}  # of the slices that were tested together
    for row in open_rows:
        together = row.tested_within
        cuts[together] = max(cuts.get(together, 0.0), row.p_value * row.n_tests)
    members = {row.slice_id: slice_members(data, dict(row.slice)) for row in open_rows}
    is_left = np.ones(data.exposure.size, bool)
    while open_rows:
        best = open_rows[_purest(data, open_rows, members, is_left, config)]
        best = _with_cause(whole, best, open_rows, members, is_left)
        found = members[best.slice_id]
        explained = _explained(data, found.left(is_left))
        is_left[explained] = False
        others = [row for row in open_rows if row is not best]
        is_explained = np.zeros(data.exposure.size, bool)
        is_explained[explained] = True
        # A slice that shares none of the rows is as it was.
        touched = [row for row in others if is_explained[members[row.slice_id].rows].any()]
        limits = [cuts[row.tested_within] / row.n_tests for row in touched]
        is_more = _Rest(data, is_left).differ(touched, [members[row.slice_id] for row in touched], limits, config)
        no_more = {
            row.slice_id for row, more in zip(touched, is_more, strict=True) if not more or _is_no_worse(row, best)
        }
        remaining = []
        for row in others:
            of_row = members[row.slice_id]
            is_same = of_row.name == found.name and np.array_equal(of_row.rows, found.rows)
            if is_same or row.slice_id in no_more:
                row.folded_into = best.slice_id
            else:
                remaining.append(row)
        open_rows = remaining
    _join_parts(data, [row for row in rows if row.is_systematic], members)


def _with_cause(
    data: SliceData, best: TestedSlice, rows: list[TestedSlice], members: dict[str, Members], is_left: Bools
) -> TestedSlice:
    """A slice, or where its errors have no cause in common, the same with the name that at least half of them are given, if
    these have one: two kinds of errors meet in it, and the other kind has to stand on what is left."""
    errors = members[best.slice_id].left(is_left).errors
    named = [
        row
        for row in rows
        if row is not best
        and _without_name(row) == dict(best.slice)
        and 2 * np.isin(errors, members[row.slice_id].errors).sum() >= errors.size
    ]
    if not named or main_cause(data, dict(best.slice)) != Cause.UNEXPLAINED:
        return best
    return next((row for row in named if main_cause(data, dict(row.slice)) != Cause.UNEXPLAINED), best)


def _without_name(row: TestedSlice) -> dict[str, str]:
    """The keys and values of a slice, whatever name its visits are given."""
    values = {key: value for key, value in row.slice if key != "predicted_id"}
    if "pair" in values:
        values["true_id"] = values.pop("pair").split(PAIR, 1)[0]
    return values


def _join_parts(data: SliceData, rows: list[TestedSlice], members: dict[str, Members]) -> None:
    """Join the parts of a place: two or more values of one circumstance, which together hold most of the place's errors and
    have its cause, are explained by the place. Where the place stands, it explains each part that errs no more than it, as
    far as the part's interval shows."""
    by_values = {frozenset(row.slice): row for row in rows}
    parts: dict[tuple[str, str], list[TestedSlice]] = {}
    for row in rows:
        if row.folded_into is None and len(row.slice) > 1:
            for key, value in row.slice:
                whole = by_values.get(frozenset(row.slice) - {(key, value)})
                if key in _CIRCUMSTANCES and whole is not None:
                    parts.setdefault((whole.slice_id, key), []).append(row)
    wholes = {row.slice_id: row for row in rows}
    for (identity, _), some in sorted(parts.items(), key=lambda item: (-len(item[1]), item[0])):
        some = [row for row in some if row.folded_into is None]
        whole, of_whole = wholes[identity], members[identity].errors
        held = np.unique(np.concatenate([members[row.slice_id].errors for row in some] or [of_whole[:0]]))
        causes = {_main_cause(data, members[row.slice_id]) for row in (whole, *some)}
        if whole.folded_into is None:  # it stands: a part has to err more than it
            some = [row for row in some if row.ci_low <= whole.error_rate]
        elif len(some) < 2 or np.isin(of_whole, held).mean() < _MOST:
            continue
        if len(causes) > 1 or not some:
            continue
        joined = {row.slice_id for row in some}
        for row in rows:
            if row.slice_id in joined or row.folded_into in joined:
                row.folded_into = identity
        whole.folded_into = None


def _main_cause(data: SliceData, members: Members) -> int:
    return int(np.bincount(data.cause[members.errors], minlength=len(Cause)).argmax())


def _explained(data: SliceData, left: Members) -> Ints:
    """The errors of a slice that it explains: those of its own cause, and those whose cause does not show."""
    causes = data.cause[left.errors]
    shown = np.bincount(causes, minlength=len(Cause))
    own = int(shown.argmax())
    return left.errors[(causes == own) | np.isin(causes, _WEAK)]


def _is_no_worse(row: TestedSlice, best: TestedSlice) -> bool:
    """Whether a slice is a part of the best one and errs no more than it, as far as its interval shows."""
    is_part = set(row.slice) > set(best.slice)
    return is_part and row.ci_low <= best.error_rate


class _Rest:
    """The rows that no slice has explained yet, and tests on them."""

    def __init__(self, data: SliceData, is_left: Bools) -> None:
        self.data = data
        self.is_left = is_left
        self._totals: dict[tuple[int | None, tuple[str, ...]], tuple[float, float]] = {}

    def counts(self, row: TestedSlice, members: Members) -> Counts:
        """The counts of one slice among these rows; errors count as the slice counts them."""
        if FROM_LABELS.keys() & set(members.keys):
            return in_kind_counts(self.data, *slice_codes(self.data, dict(row.slice)), self.is_left)
        left = members.left(self.is_left)
        x, n = float(left.is_error.sum()), float(self.data.exposure[left.rows].sum())
        x_all, n_all = self._total(members.name, members.keys)
        if members.name is not None and not members.keys and n_all - n < 1e-9:  # a name alone: the other names' average
            n_others = max(1, len(self.data.values["predicted_id"]) - 1)
            x_all, n_all = self._total(None, ())[0], n + n_all * n_others
        return Counts(*(np.array([value]) for value in (x, n, x_all - x, max(n_all - n, 0.0))))

    def _total(self, name: int | None, keys: tuple[str, ...]) -> tuple[float, float]:
        """Errors and visits among all rows that could err so, of which some keys are known."""
        if (name, keys) not in self._totals:
            possible = self.is_left & has_keys(self.data, keys)
            if name is not None:
                possible &= ~is_of(self.data, name)
            rows = np.flatnonzero(possible)
            x, n = total_errors(self.data, rows)
            if name is not None:
                x = float((self.data.is_wrong[rows] & (self.data.codes["predicted_id"][rows] == name)).sum())
            self._totals[name, keys] = x, n
        return self._totals[name, keys]

    def differ(
        self, rows: list[TestedSlice], members: list[Members], cuts: list[float], config: SliceConfig
    ) -> list[bool]:
        """Whether the rows of each slice that are left err more than the others that are left: p-values up to its own limit."""
        parts = [vars(self.counts(row, of_row)) for row, of_row in zip(rows, members, strict=True)]
        if not parts:
            return []
        counts = Counts(**{name: np.concatenate([part[name] for part in parts]) for name in parts[0]})
        may_be = (counts.errors >= config.min_errors) & (counts.base_n > 0) & (counts.lift >= config.min_lift)
        differs = np.zeros(len(rows), bool)
        differs[may_be] = counts[may_be].p_values() <= np.array(cuts)[may_be]
        return list(map(bool, differs.tolist()))


def _purest(
    data: SliceData, rows: list[TestedSlice], members: dict[str, Members], is_left: Bools, config: SliceConfig
) -> int:
    """The best fit, or the slice within it that its errors come from."""
    part = is_left
    places = [place for place, row in enumerate(rows) if not _is_last(row)] or list(range(len(rows)))
    best = _best(data, rows, places, members, part, config)
    while True:
        inside = np.zeros(data.exposure.size, bool)
        inside[members[rows[best].slice_id].rows] = True
        part = part & inside
        places = _splits(data, [place for place in places if place != best], rows, members, part)
        if not places:
            return best
        best = _best(data, rows, places, members, part, config)


def _is_last(row: TestedSlice) -> bool:
    """Whether a slice stands only where no other explains it: a name that is given, or a week, is no reason."""
    return row.family == "predicted_id" or any(key == "week" for key, _ in row.slice)


def _splits(
    data: SliceData, places: list[int], rows: list[TestedSlice], members: dict[str, Members], part: Bools
) -> list[int]:
    """The slices that cut some rows into a part that errs more and a part that errs less."""
    cutting = []
    for place in places:
        left = members[rows[place].slice_id].left(part)
        known = np.flatnonzero(part & has_keys(data, left.keys))
        if left.rows.size and known.size - left.rows.size:
            cutting.append((place, left, known))
    if not cutting:
        return []
    inside = np.array([total_errors(data, left.rows) for _, left, _ in cutting])
    whole = np.array([total_errors(data, known) for _, _, known in cutting])
    outside = np.maximum(whole - inside, 0.0)
    p_values = Counts(*inside.T, *outside.T).p_values()
    return [place for (place, _, _), p in zip(cutting, p_values, strict=True) if p <= _SPLIT / len(cutting)]


def _best(
    data: SliceData,
    rows: list[TestedSlice],
    chosen: list[int],
    members: dict[str, Members],
    is_left: Bools,
    config: SliceConfig,
) -> int:
    """The best fit among some; among nearly equal ones over much the same errors, the simplest."""
    left = {place: members[rows[place].slice_id].left(is_left) for place in chosen}
    keys = {members.keys for members in left.values()}
    whole = {some: total_errors(data, np.flatnonzero(is_left & has_keys(data, some))) for some in keys}
    fits = {place: _fit(data, left[place], *whole[left[place].keys]) for place in chosen}
    top = max(chosen, key=lambda place: (fits[place], rows[place].slice_id))
    rivals = [
        place
        for place in chosen
        if fits[place] >= fits[top] - max(2.0, _CLOSE * fits[top])
        and _overlap(left[top].errors, left[place].errors) >= 0.8
    ]

    def simplest(place: int) -> tuple[int, float, list[int], str]:
        row = rows[place]
        # Equal fits are the same rows under two names, such as a camera with one deployment: the family named first stands.
        families = [config.families.index(key) for key, _ in row.slice]
        return len(families), -round(fits[place], 6), families, row.slice_id

    return min(rivals, key=simplest)


def _fit(data: SliceData, left: Members, x_all: float, n_all: float) -> float:
    """Bernoulli log-likelihood ratio of a split into the visits inside and those outside.

    The response is erring at all, so that all slices can be compared; what a slice explains of it is the
    share of its errors that have one cause and, where it has a name, go to that name.
    """
    x, n = total_errors(data, left.rows)
    x0, n0 = max(x_all - x, 0.0), max(n_all - n, 0.0)
    if not n or n0 < 1e-9 or x / n <= x0 / n0:
        return 0.0
    fit = _log_likelihood(x, n) + _log_likelihood(x0, n0) - _log_likelihood(x + x0, n + n0)
    errors = data.cause[left.errors]
    of_one_cause = np.bincount(errors, minlength=len(Cause)).max() if errors.size else 0
    return float(fit * of_one_cause / max(1, data.is_wrong[left.rows].sum()))


def _overlap(a: Ints, b: Ints) -> float:
    """Jaccard's index of two sets of rows; two empty ones are equal, or a slice with no error left would not be its own rival.

    >>> nothing = np.array([], np.int64)
    >>> _overlap(nothing, nothing), _overlap(nothing, np.array([1])), _overlap(np.array([1, 2]), np.array([2, 3, 4]))
    (1.0, 0.0, 0.25)
    """
    shared = np.intersect1d(a, b, assume_unique=True).size
    either = a.size + b.size - shared
    return shared / either if either else 1.0


def _log_likelihood(x: float, n: float) -> float:
    return float(xlogy(x, x / n) + xlogy(n - x, 1 - x / n))

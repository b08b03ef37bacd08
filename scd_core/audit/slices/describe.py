"""What a slice's errors have in common: the name they are given, the cause, what masks recovered, examples."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scd_core.audit.errors.strata import stratified_p_value
from scd_core.audit.slices.advice import what_to_do
from scd_core.audit.slices.data import SliceData, slice_errors, slice_members, wrong_places
from scd_core.audit.slices.pictures import CAUSES, Pictures
from scd_core.audit.slices.sentence import Common, sentence
from scd_core.audit.slices.tested import TestedSlice
from scd_core.config import SliceConfig
from scd_core.names import Cause, ErrorType
from scd_core.tables.rows import SliceRow

__all__ = ["describe", "is_supported", "main_cause"]

_FLANK_LEVEL = 0.05
"""p-value up to which one flank errs more than the other inside a slice."""


def is_supported(data: SliceData, tested: TestedSlice) -> bool:
    """Whether a slice may be printed: one of a labeller only where at least half of its errors differ from other people's labels.

    Who labels what is no accident: people label different places, times and doubts, so that one person's pictures err more
    is nothing about the person.
    """
    values = dict(tested.slice)
    if "labelled_by" not in values:
        return True
    causes = data.cause[slice_errors(data, values)]
    return bool(np.mean(causes == CAUSES.index(Cause.LABEL_SUSPECT)) >= 0.5)


def describe(data: SliceData, tested: TestedSlice, config: SliceConfig) -> SliceRow:
    """What a slice's errors have in common: the columns of ``error_slices`` that are no statistics.

    ``cause`` is one that at least half of the wrong visits and pictures have: of the masked ones for what only masks show,
    of those with a known flank for a flank (at least two of them, or all there are), else of all. A flank is a cause only
    where the flanks differ inside the slice. Without such a cause it is ``unexplained``; what the slice is grouped by is no
    cause.

    The example pictures are drawn at random among the errors, one of a visit: those whose hash with the slice's id comes
    first, so the draw is the same in every report, and a new error changes one picture at most.

    Args:
        data: the labelled rows.
        tested: the slice.
        config: number of examples.
    """
    values = dict(tested.slice)
    of_slice = slice_errors(data, values)
    errors, visits = _wrong_pictures(data, values, of_slice)
    confused_with, is_mostly = _name(errors.predicted_id.tolist(), visits)
    flanks = _flanks(data, values)
    cause, n_of_cause, n_seen = _cause(errors, visits, flanks is not None)
    types = Counter(errors.error_type.tolist())
    error_type = min(types, key=lambda one: (-types[one], one))  # not the first of a tie: rows are in order of address
    is_masked = errors.is_masked
    n_masked, n_recovered = int(is_masked.sum()), int((is_masked & errors.is_recovered).sum())
    reliance = errors.background_reliance[is_masked]
    reliance = reliance[~np.isnan(reliance)]
    taken = errors.times
    common = Common(
        cause=cause,
        n_of_cause=n_of_cause,
        n_seen=n_seen,
        confused_with=confused_with if is_mostly else None,
        light=_light(data, of_slice, values),
        flanks=flanks,
        n_recovered=n_recovered,
        n_suggested=int((is_masked & errors.is_suggested).sum()),
        n_masked=n_masked,
        first_error=_moment(taken.min()) if taken.size else None,
        relation=_relation(errors.relation),
    )
    return {
        "error_type": error_type,
        "confused_with": confused_with,
        "n_splits": _n_visits(data, of_slice, ErrorType.SPLIT),
        "n_combinations": _n_visits(data, of_slice, ErrorType.COMBINATION),
        "cause": cause,
        "background_reliance": float(reliance.mean()) if reliance.size else None,
        "recovered_rate": n_recovered / n_masked if n_masked else None,
        "n_error_images": len(visits),
        "n_masked_errors": n_masked,
        "n_recovered_errors": n_recovered,
        "n_of_cause": n_of_cause,
        "n_cause_seen": n_seen,
        "n_of_type": types[error_type],
        "first_seen": tested.onset or common.first_error,
        "last_seen": _moment(taken.max()) if taken.size else None,
        "example_media_ids": _examples(tested.slice_id, errors, visits, config.examples),
        "sentence": sentence(tested, common),
        "what_to_do": what_to_do(tested, common, len(visits)),
    }


def main_cause(data: SliceData, values: dict[str, str]) -> str:
    """The column ``cause`` of a slice, as :func:`describe` gives it.

    Args:
        data: the labelled rows.
        values: key -> value of the slice.
    """
    errors, visits = _wrong_pictures(data, values, slice_errors(data, values))
    return _cause(errors, visits, _flanks(data, values) is not None)[0]


def _wrong_pictures(
    data: SliceData, values: dict[str, str], of_slice: NDArray[np.int64]
) -> tuple[Pictures, NDArray[np.int64]]:
    """The wrong pictures of a slice, and the visit of each; `of_slice`: its visits that err."""
    places = wrong_places(data, values)
    if places.size:
        return data.wrong_pictures.take(places), data.visit[data.wrong_keys[0][places]]
    # A visit has the keys that most of its pictures have, and these may be its right ones.
    wrong = np.flatnonzero(np.isin(data.visit, of_slice))
    return Pictures.of(data.rows.take(pa.array(wrong))), data.visit[wrong]


def _n_visits(data: SliceData, visits: NDArray[np.int64], error_type: str) -> int:
    """Those of some visits that have a picture of a type of error."""
    found = data.visits_by_type.get(error_type)
    return 0 if found is None else int(found[visits].sum())


def _name(names: Sequence[str | None], visits: NDArray[np.int64]) -> tuple[str | None, bool]:
    """The name that most visits are given, and whether more than half of them are."""
    given = {(visit, name) for visit, name in zip(visits.tolist(), names, strict=True) if name is not None}
    counts = Counter(name for _, name in given)
    if not counts:
        return None, False
    name = min(counts, key=lambda one: (-counts[one], one))
    return name, counts[name] > len(set(visits.tolist())) / 2


def _cause(errors: Pictures, visits: NDArray[np.int64], is_flank: bool) -> tuple[str, int, int]:
    """The cause of a slice, the wrong pictures that have it, and those in which it could be seen."""
    seen = {
        Cause.OVERLAY: errors.is_masked,
        Cause.BACKGROUND: errors.is_masked | errors.has_gradient,
        Cause.FLANK: errors.has_flank,
    }
    n_all = errors.cause.size
    n_unexplained = int((errors.cause == CAUSES.index(Cause.UNEXPLAINED)).sum())
    best: tuple[float, str, int, int] = (0.0, Cause.UNEXPLAINED, n_unexplained, n_all)
    for number in np.flatnonzero(np.bincount(errors.cause[errors.cause >= 0])).tolist():
        cause = Cause(CAUSES[number])
        is_seen = seen.get(cause, np.ones(n_all, bool))
        has = (errors.cause == number) & is_seen
        if cause == Cause.UNEXPLAINED or not has.any() or (cause == Cause.FLANK and not is_flank):
            continue
        if has.sum() < 2 and is_seen.sum() < n_all:
            continue
        # Of the visits, as all is counted, and of the pictures, which stand beside it.
        n_of, n_seen = int(has.sum()), int(is_seen.sum())
        if n_of / n_seen < max(0.5, best[0]):
            continue
        share = min(_share_of_visits(has[is_seen], visits[is_seen]), n_of / n_seen)
        if share >= 0.5 and share > best[0]:
            best = (share, cause, n_of, n_seen)
    return best[1], best[2], best[3]


def _share_of_visits(has: NDArray[np.bool_], visits: NDArray[np.int64]) -> float:
    _, place = np.unique(visits, return_inverse=True)
    return float((np.bincount(place, has) / np.bincount(place)).mean())


def _flanks(data: SliceData, values: dict[str, str]) -> tuple[str, int, int, int, int] | None:
    """The flank that errs more inside a slice: its name, its visits that err, all of them, those of the other one, all of them.

    None where they do not differ: 2.5 times as often, and by an exact test of which side the errors fall on. Among all visits
    at the same cameras, where the slice is of one individual; else among those of the same individuals there.
    """
    data = data.labelled
    if len(data.values["flank"]) < 2:
        return None
    members = slice_members(data, {key: value for key, value in values.items() if key != "flank"})
    flank = data.codes["flank"][members.rows]
    is_known = flank >= 0
    rows, is_error, flank = members.rows[is_known], members.is_error[is_known], flank[is_known]
    if not is_error.any():
        return None
    if "flank" in values:
        worst = data.values["flank"].index(values["flank"])
    else:
        worst = int(np.bincount(flank[is_error]).argmax())
    is_worst = flank == worst
    x, n = int((is_worst & is_error).sum()), int(is_worst.sum())
    x_others, n_others = int((~is_worst & is_error).sum()), int((~is_worst).sum())
    if not n_others or x_others / n_others > 0.4 * x / n:
        return None
    # Where it is about one individual, all that passed the same cameras show how often either flank is seen there.
    is_of_one = bool({"true_id", "pair"} & values.keys())
    like = np.flatnonzero(data.codes["flank"] >= 0) if is_of_one else rows
    strata = data.codes["camera_id"] if is_of_one else data.individual_at_camera
    n_strata = int(strata.max()) + 2
    counts = [
        np.bincount(strata[of] + 1, minlength=n_strata)
        for of in (
            rows[is_worst & is_error], like[data.codes["flank"][like] == worst],
            rows[~is_worst & is_error], like[data.codes["flank"][like] != worst],
        )
    ]  # fmt: skip
    if stratified_p_value(*(one[counts[0] + counts[2] > 0] for one in counts)) > _FLANK_LEVEL:
        return None
    return data.values["flank"][worst], x, n, x_others, n_others


def _examples(slice_id: str, errors: Pictures, visits: NDArray[np.int64], n: int) -> list[str]:
    """Media of errors of different visits, drawn at random: in the order of a hash of the slice and the content."""
    chosen: dict[int, str] = {}
    names = errors.drawn_by.tolist()
    drawn = sorted((hashlib.sha256(f"{slice_id}:{one}".encode()).digest(), place) for place, one in enumerate(names))
    for _, place in drawn:
        chosen.setdefault(int(visits[place]), errors.media_id[place])
        if len(chosen) >= n:
            break
    return list(chosen.values())[:n]


def _relation(relations: NDArray[np.object_]) -> str | None:
    """The one relation of true and given name that all wrong pictures have; None where they differ or it is not known."""
    found = set(relations.tolist())
    return found.pop() if len(found) == 1 else None


def _moment(micros: int) -> datetime:
    """A time on a camera's clock."""
    return datetime(1970, 1, 1) + timedelta(microseconds=int(micros))


def _light(data: SliceData, errors: NDArray[np.int64], values: dict[str, Any]) -> str | None:
    """The light that at least nine tenths of the errors have, where not all labelled pictures do."""
    if "light" in values or "hour" in values:
        return None
    codes = data.codes["light"][errors]
    code, n = Counter(codes.tolist()).most_common(1)[0]
    is_shared = code >= 0 and n >= 0.9 * codes.size and data.light_shares[code] < 0.7
    return data.values["light"][code] if is_shared else None

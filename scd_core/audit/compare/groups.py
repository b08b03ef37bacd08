"""What gets better and what gets worse: pairs by camera, individual, light and systematic slice, with q-values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scd_core.audit.compare.paired import mcnemar
from scd_core.audit.compare.pairs import Pairs, wrong
from scd_core.audit.slices.data import PAIR
from scd_core.audit.slices.derive import find_slices
from scd_core.audit.slices.statistics import benjamini_hochberg
from scd_core.audit.wording import slice_title
from scd_core.config import SliceConfig

__all__ = ["Group", "SliceChange", "find_groups", "slice_changes"]

Bools = NDArray[np.bool_]
_FAMILIES = (("camera_id",), ("true_id",), ("light",), ("camera_id", "light"), ("camera_id", "true_id"))
_SLICES = "systematic slice"


@dataclass(frozen=True)
class Group:
    """Visits that share something, and which model is right about them."""

    keys: Mapping[str, str]
    family: str
    n: int
    old_errors: int
    new_errors: int
    mended: int
    """Visits that the new model alone is right about."""
    spoilt: int
    """Visits that the old model alone is right about."""
    q_better: float = 1.0
    q_worse: float = 1.0

    @property
    def title(self) -> str:
        """The group in words."""
        return slice_title(self.keys)


@dataclass(frozen=True)
class SliceChange:
    """A systematic error that goes, comes or stays."""

    title: str
    change: str
    """``gone``, ``new`` or ``stays``."""
    n: int
    old_errors: int
    new_errors: int


def find_groups(pairs: Pairs, slices: Sequence[Mapping[str, str]], config: SliceConfig) -> list[Group]:
    """Every group of visits on which the models differ, with q-values for getting better and for getting worse.

    The test is McNemar's exact one on the visits as they are. Each family, of cameras, individuals, lights and so on, has an
    equal share of the false discovery rate (:func:`scd_core.audit.slices.statistics.benjamini_hochberg`). A group in which
    the models differ so seldom that even all in one direction would prove nothing is no test: that number does not
    depend on the direction (Tarone, Biometrics 1990).

    Args:
        pairs: the visits.
        slices: systematic slices of either model, key -> value; one that is a group already is tested as that alone.
        config: `max_q`.

    Returns:
        The groups in which the models differ, those that get worse first.
    """
    keys = pairs.keys()
    found: list[Group] = []
    for family in _FAMILIES:
        members: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for place, of_row in enumerate(keys):
            if all(key in of_row for key in family):
                members[tuple(of_row[key] for key in family)].append(place)
        if len(members) > 1:
            old, new = wrong(pairs.old), wrong(pairs.new)
            for values, places in sorted(members.items()):
                one = _group(
                    pairs, dict(zip(family, values, strict=True)), "+".join(family), _marks(pairs, places), old, new
                )
                found.append(one)
    held = [dict(one.keys) for one in found]
    found += [of_slice(pairs, one) for one in slices if dict(one) not in held]
    return _with_q(found, config.max_q)


def of_slice(pairs: Pairs, values: Mapping[str, str]) -> Group:
    """The visits of a slice, and who errs on them; of a slice of one wrong name, errors are that name."""
    keys = pairs.keys()
    wanted = {key: value for key, value in values.items() if key not in ("pair", "predicted_id", "model_digest")}
    called = values.get("predicted_id")
    if "pair" in values:
        wanted["true_id"], called = values["pair"].split(PAIR, 1)
    marks = np.array([all(row.get(key) == value for key, value in wanted.items()) for row in keys], dtype=bool)
    old, new = wrong(pairs.old), wrong(pairs.new)
    if called is not None:
        old, new = (is_wrong & _called(rows, called) for is_wrong, rows in ((old, pairs.old), (new, pairs.new)))
        marks &= np.array([row.get("true_id") != called for row in keys], dtype=bool)
    return _group(pairs, dict(values), _SLICES, marks, old, new)


def slice_changes(pairs: Pairs, config: SliceConfig) -> tuple[list[SliceChange], list[Mapping[str, str]]]:
    """Systematic errors of each model on the visits of both, and what becomes of them; and their keys and values.

    A slice that is systematic with one model and not with the other, and that has no fewer wrong visits there, stays.
    """
    both: list[dict[str, Mapping[str, str]]] = []
    for rows in (pairs.old, pairs.new):
        slices = find_slices(rows, config).to_pylist()
        both.append(
            {one["slice_id"]: dict(one["slice"]) for one in slices if one["is_systematic"] and not one["folded_into"]}
        )
    old, new = both
    changes = []
    for slice_id, values in (old | new).items():
        group = of_slice(pairs, values)
        change = "stays"
        if slice_id not in new and group.new_errors < group.old_errors:
            change = "gone"
        elif slice_id not in old and group.new_errors > group.old_errors:
            change = "new"
        changes.append(SliceChange(group.title, change, group.n, group.old_errors, group.new_errors))
    return changes, list((old | new).values())


def _group(pairs: Pairs, values: Mapping[str, str], family: str, marks: Bools, old: Bools, new: Bools) -> Group:
    visits = np.unique(pairs.visit[marks])
    old_errs, new_errs = (_by_visit(pairs, marks, is_wrong)[visits] for is_wrong in (old, new))
    return Group(
        values, family, visits.size, int(old_errs.sum()), int(new_errs.sum()),
        mended=int((old_errs & ~new_errs).sum()), spoilt=int((~old_errs & new_errs).sum()),
    )  # fmt: skip


def _by_visit(pairs: Pairs, marks: Bools, is_wrong: Bools) -> Bools:
    """(v,) visits of which at least half of the targets in a group err."""
    inside = np.bincount(pairs.visit[marks], minlength=pairs.n_visits)
    return 2 * np.bincount(pairs.visit[marks], is_wrong[marks], minlength=pairs.n_visits) >= np.maximum(inside, 1)


def _marks(pairs: Pairs, places: Sequence[int]) -> Bools:
    marks = np.zeros(pairs.visit.size, bool)
    marks[places] = True
    return marks


def _called(rows: pa.Table, name: str) -> Bools:
    return np.array([one == name for one in rows["predicted_id"].to_pylist()], dtype=bool)


def _with_q(groups: Sequence[Group], max_q: float) -> list[Group]:
    differ = [one for one in groups if one.mended + one.spoilt]
    can_be = [one for one in differ if 0.5 ** (one.mended + one.spoilt) <= max_q]
    families = {one.family for one in can_be}
    sizes = [len(families) * sum(other.family == one.family for other in can_be) for one in can_be]
    spoilt, mended = (np.array([getattr(one, side) for one in can_be], float) for side in ("spoilt", "mended"))
    worse, better = (
        benjamini_hochberg(mcnemar(spoilt, mended), sizes),
        benjamini_hochberg(mcnemar(mended, spoilt), sizes),
    )
    q = {id(one): (float(b), float(w)) for one, b, w in zip(can_be, better, worse, strict=True)}
    judged = [
        Group(**{**vars(one), "q_better": q[id(one)][0], "q_worse": q[id(one)][1]}) if id(one) in q else one
        for one in differ
    ]
    return sorted(judged, key=lambda one: (one.q_worse, one.q_better, one.title))

"""`compare_models`: which of two models errs less on the same labelled visits, where it gets worse, and whether to promote it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from scd_core.audit.compare.groups import Group, SliceChange, find_groups, slice_changes
from scd_core.audit.compare.paired import Paired, paired_counts, pairs_needed
from scd_core.audit.compare.pairs import Model, Pairs, find_model, find_pairs, wrong
from scd_core.audit.errors.derive import derive_errors
from scd_core.audit.improvements import learnt_until, read_improvements
from scd_core.audit.query.connection import open_tables
from scd_core.audit.sql import load_sql
from scd_core.audit.wording import percent, plural
from scd_core.config import AuditConfig
from scd_core.errors import InputError
from scd_core.names import UNKNOWN, ErrorType
from scd_core.tables.store import AuditStore

__all__ = ["Comparison", "Side", "Verdict", "compare_models"]

_BINS = 10
_SHARE = 0.5
"""Of the unlabelled visits that two models name differently, the share on which one of them is right, where no label shows it."""


class Verdict(StrEnum):
    """What to do with the new model."""

    PROMOTE = "promote"
    DO_NOT_PROMOTE = "do not promote"
    LABEL_MORE = "label more"


@dataclass(frozen=True)
class Side:
    """One model on the visits of both."""

    calibration_error: float | None
    """Mean distance of its probabilities from the share right, over ten bins, weighted, 0-1; None without probabilities."""
    n_called_unknown: int
    """Labelled pictures that it calls unknown."""
    n_splits: int
    """Known individuals called unknown."""
    n_combinations: int
    """Unknown individuals, or pictures without an animal, called a known one."""
    n_unnamed: int
    """Pictures that it gives no name."""


@dataclass(frozen=True)
class Comparison:
    """Two models side by side."""

    old: Model
    new: Model
    n_pictures: int
    """Labelled targets that both named."""
    n_only_old: int
    n_only_new: int
    visits: Paired
    old_side: Side
    new_side: Side
    groups: Sequence[Group]
    """Groups in which they differ, those that get worse first."""
    slices: Sequence[SliceChange]
    to_label: Sequence[Mapping[str, Any]]
    """Unlabelled pictures that they name differently, one of each event, in the order in which to label them."""
    n_needed: int
    """Of these, how many to label next; 0 where the comparison is settled."""
    verdict: Verdict
    reason: str
    max_q: float
    learnt_by: str = ""
    """The model that `improve` wrote and that learnt from labels of visits here, ``old``, ``new`` or ``both``; empty for none."""
    n_learnt: int = 0
    """These visits, which have no part in the verdict."""

    @property
    def worse(self) -> list[Group]:
        """Groups that get worse, proved."""
        return [one for one in self.groups if one.q_worse < self.max_q]

    @property
    def better(self) -> list[Group]:
        """Groups that get better, proved."""
        return [one for one in self.groups if one.q_better < self.max_q]

    @property
    def last_line(self) -> str:
        """What to do, in one line."""
        if self.verdict is Verdict.LABEL_MORE:
            return f"label {self.n_needed} more: {self.reason}"
        return f"{self.verdict}: {self.reason}"

    def as_dict(self) -> dict[str, Any]:
        """All of it, for JSON."""
        groups = [asdict(one) | {"title": one.title} for one in self.groups]
        return asdict(self) | {"groups": groups, "last_line": self.last_line}


def compare_models(out: str, old: str, new: str, config: AuditConfig | None = None) -> Comparison:
    """Compare two models that named the same pictures of an audit.

    The unit is the visit, and each counts once. Whether the new model errs less is judged by the interval of the difference of
    the weighted rates; what gets worse is judged by McNemar's test with a q-value. Labels that `improve` had when it wrote one of
    the models have no part in that: a model is nearly always right on what it learnt from.

    Args:
        out: OUT.
        old: digest, the beginning of one, or name of the model in use.
        new: the same of the other one.
        config: thresholds; None is the default.

    Raises:
        InputError: OUT holds no audit or not these models, they are one, or no labelled picture was named by both.
    """
    config = config or AuditConfig()
    with open_tables(out, with_shadows=True) as connection:
        models = find_model(connection, old), find_model(connection, new)
        if models[0].digest == models[1].digest:
            raise InputError(f"{old} and {new}: are one model, {models[0]}; name two")
        errors = derive_errors(connection, config)
        pairs = find_pairs(connection, errors, *models)
        if not pairs.n_visits:
            raise InputError(
                f"compare: no labelled picture was named by both models ({pairs.n_only_old} by {models[0]} alone, "
                f"{pairs.n_only_new} by {models[1]} alone); run both over the same SOURCE into {out}, and label some"
            )
        digests = {"old": models[0].digest, "new": models[1].digest}
        connection.execute(load_sql("scd_core.audit.errors", "drawn_by"))
        connection.execute(_sql("named_by_both"), digests)
        unlike = connection.sql(_sql("disagreements"), params=digests).to_arrow_table()
        ((share,),) = connection.execute(_sql("share_unlike"), digests).fetchall()
    records = read_improvements(AuditStore(out))
    written = tuple(learnt_until(records, one.digest) for one in models)
    return _judged(models, pairs, unlike.to_pylist(), share, config, written)


def _differ(pairs: Pairs) -> NDArray[np.bool_]:
    """(n,) targets that the models name differently."""
    names = (rows["predicted_id"].to_pylist() for rows in (pairs.old, pairs.new))
    return np.array([one != other for one, other in zip(*names, strict=True)], dtype=bool)


def _weights(weight: NDArray[np.float64], differ: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Weights of visits; one whose label was not drawn counts as the others do that are, or are not, named differently."""
    found = weight.copy()
    for part in (differ, ~differ):
        known = part & (weight > 0)
        found[part & (weight <= 0)] = weight[known].mean() if known.any() else 1.0
    return found


def _judged(
    models: tuple[Model, Model],
    pairs: Pairs,
    unlike: list[dict[str, Any]],
    share: float | None,
    config: AuditConfig,
    written: tuple[datetime | None, ...],
) -> Comparison:
    old_wrong, new_wrong = (pairs.by_visit(wrong(rows)) for rows in (pairs.old, pairs.new))
    differ = pairs.by_visit(_differ(pairs)) | (old_wrong != new_wrong)
    weight = _weights(pairs.visit_weight(), differ)
    of_all = {} if share is None else {"differ": differ, "share": share}
    visits = judged = paired_counts(old_wrong, new_wrong, weight, config.slices.confidence, **of_all)
    by_model = [_learnt(pairs, moment) for moment in written]
    fresh = ~(by_model[0] | by_model[1])
    if not fresh.all():
        of_fresh = {} if share is None else {"differ": differ[fresh], "share": share}
        judged = paired_counts(old_wrong[fresh], new_wrong[fresh], weight[fresh], config.slices.confidence, **of_fresh)
    changes, slices = slice_changes(pairs, config.slices)
    groups = find_groups(pairs, slices, config.slices)
    worse = [one for one in groups if one.q_worse < config.slices.max_q]
    # What the old model learnt from makes the new one look worse there.
    against = [] if by_model[0].any() else worse
    verdict, reason, needed = _verdict(judged, against, len(unlike), _share_telling(pairs))
    learnt_by = {(True, True): "both", (True, False): "old", (False, True): "new"}
    return Comparison(
        models[0], models[1], len(pairs.old), pairs.n_only_old, pairs.n_only_new, visits, _side(pairs.old, pairs.weight),
        _side(pairs.new, pairs.weight), groups, changes, unlike, needed, verdict, reason, config.slices.max_q,
        learnt_by.get((bool(by_model[0].any()), bool(by_model[1].any())), ""), int((~fresh).sum()),
    )  # fmt: skip


def _learnt(pairs: Pairs, moment: datetime | None) -> NDArray[np.bool_]:
    """(v,) visits with a label that was given until a moment."""
    known = pairs.new["known_at"].to_pylist()
    marked = [moment is not None and one is not None and one <= moment for one in known]
    return np.bincount(pairs.visit, marked, minlength=pairs.n_visits) > 0


def _verdict(visits: Paired, worse: Sequence[Group], n_unlike: int, telling: float) -> tuple[Verdict, str, int]:
    """What to do, why, and how many pictures to label for it."""
    interval = f"{_signed(visits.difference)} of events ({_signed(visits.low)} to {_signed(visits.high)})"
    if visits.low > 0:
        return Verdict.DO_NOT_PROMOTE, f"it errs more: {interval}", 0
    if worse:
        first = worse[0]
        more = f", and {len(worse) - 1} more" if len(worse) > 1 else ""
        return (
            Verdict.DO_NOT_PROMOTE,
            f"{first.title} gets worse: {first.spoilt} {plural(first.spoilt, 'visit', 'visits')} spoilt, {first.mended} mended, "
            f"q {first.q_worse:.2g}{more}",
            0,
        )
    if visits.high < 0:
        return Verdict.PROMOTE, f"it errs less: {interval}, and no group is proved to get worse", 0
    if not n_unlike:
        return (
            Verdict.DO_NOT_PROMOTE,
            f"no difference is proved ({interval}), and no unlabelled picture is left that could prove one",
            0,
        )
    needed = pairs_needed(visits.only_old, visits.only_new)
    wanted = n_unlike if needed is None else math.ceil(needed / telling)
    n = min(wanted, n_unlike)
    short = "" if n == wanted else f"; {wanted} would be needed, if they differ as so far"
    return (
        Verdict.LABEL_MORE,
        f"no difference is proved yet ({interval}); these {n} of {n_unlike} pictures are named differently{short}",
        n,
    )


def _share_telling(pairs: Pairs) -> float:
    """Of the labelled visits that the models name differently, the share on which one of them is right."""
    differ = pairs.by_visit(_differ(pairs))
    old, new = (pairs.by_visit(wrong(rows)) for rows in (pairs.old, pairs.new))
    n, telling = int(differ.sum()), int((differ & (old != new)).sum())
    return (telling + 2 * _SHARE) / (n + 2)


def _side(rows: pa.Table, weight: Any) -> Side:
    types = rows["error_type"].to_pylist()
    called = rows["predicted_id"].to_pylist()
    return Side(
        _calibration_error(rows, weight),
        sum(name == UNKNOWN for name in called),
        types.count(ErrorType.SPLIT),
        types.count(ErrorType.COMBINATION),
        sum(name is None for name in called),
    )


def _calibration_error(rows: pa.Table, weight: Any) -> float | None:
    """Expected calibration error over ten bins of equal width, as the report has it."""
    given = np.array(pc.fill_null(rows["probability"].cast(pa.float64()), math.nan).to_pylist(), dtype=float)
    known = ~np.isnan(given) & np.array([name is not None for name in rows["predicted_id"].to_pylist()], dtype=bool)
    weight = weight if weight[known].sum() > 0 else np.ones(given.size)
    total = weight[known].sum()
    if not known.any() or total <= 0:
        return None
    place = np.minimum(_BINS - 1, np.floor(_BINS * given[known])).astype(int)
    off = np.bincount(place, weight[known] * (given[known] - ~wrong(rows)[known]), minlength=_BINS)
    return float(np.abs(off).sum() / total)


def _signed(value: float) -> str:
    sign = "+" if value > 0 else "-" if value < 0 else ""
    return f"{sign}{percent(abs(value))}"


def _sql(name: str) -> str:
    return load_sql("scd_core.audit.compare", name)

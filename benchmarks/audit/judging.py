"""What a method found in a world of the third maker, against what was planted there."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import numpy as np

from benchmarks.audit.baselines import Labelled, fisher_p, group_by, labelled_visits, slice_line
from benchmarks.audit.forest.errors import Mechanism
from benchmarks.audit.forest.world import ForestWorld, true_lift
from benchmarks.audit.planting import Planted
from benchmarks.audit.worlds import load_tables
from scd_core.audit.errors.derive import assumed_right, derive_errors
from scd_core.audit.report.totals import report_totals
from scd_core.audit.slices.derive import find_slices
from scd_core.config import AuditConfig

__all__ = ["METHODS", "findable", "judge", "names", "reported_by_audit"]

METHODS = ("audit", "group_by", "slice_line")
FINDABLE = 1e-4
"""Fisher's p-value of a planted slice below which it can be asked for."""
MIN_TRUE_LIFT = 1.2
"""A slice that errs less than so many times as often as the rest is false, whatever it names."""


def names(planted: Planted, values: dict[str, str]) -> bool:
    """Whether a slice names a planted error: one of its naming keys, and no other value of any of its keys."""
    agrees = all(value in planted.keys[key] for key, value in values.items() if key in planted.keys)
    return agrees and any(key in planted.naming for key in values)


def reported_by_audit(world: ForestWorld, config: AuditConfig) -> tuple[list[dict[str, Any]], float | None]:
    """The slices that the report shows (systematic, explained by no other) and the overall rate that it prints."""
    with load_tables(world.tables) as connection:
        errors = derive_errors(connection, config)
        slices = find_slices(errors, config.slices, assumed=assumed_right(connection, errors))
        for name, rows in (("errors", errors), ("error_slices", slices)):
            connection.register("rows", rows)
            connection.execute(f'CREATE OR REPLACE TABLE "{name}" AS SELECT * FROM rows')
            connection.unregister("rows")
        rate = report_totals(connection).error_rate
    return [row for row in slices.to_pylist() if row["is_systematic"] and row["folded_into"] is None], rate


def judge(world: ForestWorld, method: str, config: AuditConfig) -> dict[str, Any] | None:
    """What one method found in one world; None for one that is not installed."""
    labelled = labelled_visits(world)
    started = time.perf_counter()
    causes: list[str | None]
    if method == "audit":
        rows, rate = reported_by_audit(world, config)
        reported = [dict(row["slice"]) for row in rows]
        causes = [row["cause"] for row in rows]
    else:
        rate = labelled.error_rate if method == "group_by" else None
        found = [values for values, _ in group_by(labelled)] if method == "group_by" else slice_line(labelled)
        if found is None:
            return None
        reported, causes = found, [None] * len(found)
    seconds = time.perf_counter() - started
    hits = [[one for one in world.planted if names(one, values)] for values in reported]
    named = {one.kind for of in hits for one in of}
    with_cause = {one.kind for of, cause in zip(hits, causes, strict=True) for one in of if cause in one.causes}
    lifts = [
        true_lift(world, values, method != "audit") if not of else None
        for values, of in zip(reported, hits, strict=True)
    ]
    return {
        "method": method,
        "n_labelled_visits": labelled.visit.size,
        "planted": [one.kind for one in world.planted],
        "findable": sorted(findable(world, labelled)),
        "named": sorted(named),
        "with_cause": sorted(with_cause),
        "n_reported": len(reported),
        "n_unnamed": sum(not of for of in hits),
        "n_false": sum(lift is not None and lift < MIN_TRUE_LIFT for lift in lifts),
        "error_rate": rate,
        "true_error_rate": world.error_rate,
        "seconds": round(seconds, 3),
        "unnamed": [
            _words(values) + f" (true lift {lift:.2f})" for values, lift in zip(reported, lifts, strict=True) if lift is not None
        ],
    }  # fmt: skip


def findable(world: ForestWorld, labelled: Labelled) -> set[str]:
    """Kinds of which the planted slice itself, tested alone on these labelled visits, has p < 1e-4."""
    found = set()
    for planted, one in zip(world.planted, world.found.planted, strict=True):
        inside, is_error, may_err = _planted_slice(labelled, planted, one)
        x, n = int((inside & is_error).sum()), int(inside.sum())
        x_all, n_all = int((may_err & is_error).sum()), int(may_err.sum())
        if n and fisher_p(np.array([x]), np.array([n]), x_all, n_all)[0] < FINDABLE:
            found.add(planted.kind)
    return found


def _planted_slice(labelled: Labelled, planted: Planted, one: Mechanism) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of the labelled visits: which are of the planted slice, which err as it does, and which could."""
    if one.is_alias:
        inside = np.isin(labelled.values["true_id"], [*planted.keys["true_id"]])
        inside &= np.isin(labelled.values["labelled_by"], [*planted.keys["labelled_by"]])
    else:
        inside = one.reach[labelled.visit]
    if one.name < 0:
        return inside, labelled.is_wrong, np.ones(labelled.visit.size, bool)
    (name,) = planted.keys["predicted_id"]
    may_err = labelled.values["right_id"] != name
    return inside & may_err, labelled.is_wrong & (labelled.values["predicted_id"] == name), may_err


def _words(values: dict[str, str] | Iterable[tuple[str, str]]) -> str:
    return ", ".join(f"{key} {value}" for key, value in dict(values).items())

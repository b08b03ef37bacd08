"""What a method found in a world of the third maker, against what was planted there."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np

from benchmarks.audit.baselines import Labelled, fisher_p, group_by, labelled_visits, slice_line
from benchmarks.audit.forest.errors import Mechanism
from benchmarks.audit.forest.tables import START
from benchmarks.audit.forest.world import ForestWorld, true_lift
from benchmarks.audit.worlds import Planted, load_tables, names, slices_of
from scd_core.audit.errors.derive import derive_errors, known_exposures
from scd_core.audit.report.totals import report_totals
from scd_core.audit.slices.counts import Counts
from scd_core.audit.slices.data import SliceData, slice_data
from scd_core.audit.slices.rates import slice_rates
from scd_core.config import AuditConfig, SliceKey

__all__ = ["METHODS", "MIN_TRUE_LIFT", "findable", "judge"]

METHODS = ("audit", "group_by", "slice_line")
COVERED: tuple[SliceKey, ...] = ("camera_id", "deployment_id", "true_id", "light", "hour")
"""Keys that every visit has, labelled or not, so that a slice's true rate is known."""
MIN_COVERED = 5
"""Labelled visits from which on a slice's interval is looked at."""
FINDABLE = 1e-4
"""Fisher's p-value of a planted slice below which the slice is findable."""
MIN_TRUE_LIFT = 1.2
"""A slice that errs less than so many times as often as the rest is false, whatever it names."""


@dataclass(frozen=True)
class Found:
    """What the audit reports of a world."""

    slices: list[dict[str, Any]]  # systematic, explained by no other
    error_rate: float | None  # the overall rate that is printed
    held: list[bool]  # of each slice by one key, listed or not: its interval holds its true rate
    seconds: float


def audit(world: ForestWorld, config: AuditConfig, has_coverage: bool = True) -> Found:
    """Derive a report's tables from the world's, and look at its intervals."""
    started = time.perf_counter()
    with load_tables(world.tables) as connection:
        errors = derive_errors(connection, config)
        slices = slices_of(connection, errors, config.slices)
        for name, rows in (("errors", errors), ("error_slices", slices)):
            connection.register("rows", rows)
            connection.execute(f'CREATE OR REPLACE TABLE "{name}" AS SELECT * FROM rows')
            connection.unregister("rows")
        rate = report_totals(connection).error_rate
        seconds = time.perf_counter() - started
        data = slice_data(errors, known_exposures(connection)) if has_coverage else None
    shown = [row for row in slices.to_pylist() if row["is_systematic"] and row["folded_into"] is None]
    return Found(shown, rate, intervals_held(world, data, config) if data else [], seconds)


def intervals_held(world: ForestWorld, data: SliceData, config: AuditConfig) -> list[bool]:
    """Whether intervals hold the share of wrong events in the world: of all slices by one key that have at least five labelled
    visits and a rate, listed or not. Without individuals whose slices wrong labels make larger or smaller."""
    aliases = [one.keys for one in world.planted if one.kind == "labeller"]
    moved = {name for keys in aliases for key in ("true_id", "predicted_id") for name in keys[key]}
    visit, wrong = world.event_errors
    held = []
    for key in COVERED:
        n = np.bincount(data.codes[key][: data.n_visits] + 1, minlength=len(data.values[key]) + 1)[1:]
        codes = np.flatnonzero(n >= MIN_COVERED)
        nothing = Counts(*(np.zeros(codes.size) for _ in range(4)))  # used only where a slice has no rate
        rates = slice_rates(data, (key,), codes[:, None], nothing, config.slices.confidence)
        for code, rate in zip(codes.tolist(), rates, strict=True):
            value = data.values[key][code]
            inside = (world.keys[key] == value)[visit]
            if inside.any() and not rate.is_lower_bound and value not in moved:
                held.append(bool(rate.ci_low <= wrong[inside].mean() <= rate.ci_high))
    return held


def _onsets(world: ForestWorld, slices: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each slice that names a planted error: whether it has an onset, and how that agrees with the true one, in days."""
    found = []
    for row in slices:
        for planted, one in zip(world.planted, world.found.planted, strict=True):
            if names(planted, dict(row["slice"])):
                is_given = row["onset"] is not None
                says: dict[str, Any] = {"has_onset": one.onset is not None, "is_given": is_given}
                if is_given and one.onset is not None:
                    first = START + timedelta(days=one.onset)
                    says["is_held"] = row["onset_low"].date() <= first.date() <= row["onset_high"].date()
                    says["days_off"] = abs((row["onset"].date() - first.date()).days)
                found.append(says)
    return found


def judge(world: ForestWorld, method: str, config: AuditConfig, has_coverage: bool = True) -> dict[str, Any] | None:
    """What one method found in one world; None for one that is not installed."""
    labelled = labelled_visits(world)
    started = time.perf_counter()
    causes: list[str | None]
    held: list[bool] = []
    onsets: list[dict[str, Any]] = []
    if method == "audit":
        by_audit = audit(world, config, has_coverage)
        rate, held, seconds = by_audit.error_rate, by_audit.held, by_audit.seconds
        reported = [dict(row["slice"]) for row in by_audit.slices]
        causes = [row["cause"] for row in by_audit.slices]
        onsets = _onsets(world, by_audit.slices)
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
        "onsets": onsets,
        "n_held": sum(held),
        "n_intervals": len(held),
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

"""Does the audit find the systematic errors that are there, and only those? Worlds with planted errors, and empty ones.

    python -m benchmarks.audit [--json FILE] [--quick] [--seed N ...]

Each world is a set of audit tables, of one maker (:mod:`benchmarks.audit.worlds`), on which the rules were tuned with seeds
0-2, or of another (:mod:`benchmarks.audit.other_worlds`), from which the real code derives errors and slices. A
planted error counts as found where a reported slice (q < 0.05, not explained by another) names its camera, individual, pair,
flank, quality or labeller, contradicts none of it, and gives its cause. A reported slice that names none of the
planted errors is a false discovery. Coverage is whether the Wilson intervals of all slices with enough events, whether
reported or not, hold the probability to err that the slice's events have, labelled or not.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np

from benchmarks.audit.other_worlds import OTHER_KINDS, SHAPES, make_other_world
from benchmarks.audit.planting import KINDS, Planted
from benchmarks.audit.worlds import World, load_world, make_world
from benchmarks.common import Report, options, resolve_device
from scd_core.audit.errors.derive import assumed_right, derive_errors
from scd_core.audit.slices.data import slice_data
from scd_core.audit.slices.derive import find_slices
from scd_core.audit.slices.families import family_tests
from scd_core.audit.slices.statistics import wilson_interval
from scd_core.config import AuditConfig, SliceConfig

N_PLANTED = 6
COVERED = ("camera_id", "deployment_id", "true_id", "light", "hour")
"""Keys that every event has, labelled or not, so that a slice's true rate is known."""


def names(planted: Planted, values: dict[str, str]) -> bool:
    """Whether a slice names a planted error: one of its naming keys, and no other value of any of its keys."""
    agrees = all(value in planted.keys[key] for key, value in values.items() if key in planted.keys)
    return agrees and any(key in planted.naming for key in values)


def judge_world(world: World, config: AuditConfig) -> tuple[dict[str, Any], list[tuple[bool, float]]]:
    """What was found in one world, and for each slice whether its interval holds the true rate, with its width."""
    started = time.perf_counter()
    with load_world(world) as connection:
        errors = derive_errors(connection, config)
        assumed = assumed_right(connection, errors)
    slices = find_slices(errors, config.slices, assumed=assumed).to_pylist()
    seconds = time.perf_counter() - started
    reported = [row for row in slices if row["is_systematic"] and row["folded_into"] is None]
    found: dict[str, bool] = {}
    named: dict[str, bool] = {}
    seen: list[dict[str, Any]] = []
    for row in reported:
        values = dict(row["slice"])
        hits = [planted for planted in world.planted if names(planted, values)]
        seen.append(
            {
                "slice": values,
                "cause": row["cause"],
                "n_errors": row["n_errors"],
                "p_value": row["p_value"],
                "is_true": bool(hits),
            }
        )
        for planted in hits:
            named[planted.kind] = True
            found[planted.kind] = found.get(planted.kind, False) or row["cause"] in planted.causes
    result = {
        "n_labels": world.tables["labels"].num_rows,
        "n_tests": slices[0]["n_tests"] if slices else 0,
        "planted": [planted.kind for planted in world.planted],
        "found": sorted(kind for kind, is_right in found.items() if is_right),
        "named": sorted(named),
        "n_reported": len(reported),
        "n_false": sum(not one["is_true"] for one in seen),
        "reported": seen,
        "seconds": round(seconds, 2),
    }
    return result, coverage(world, errors, config.slices, assumed)


def coverage(world: World, errors: Any, config: SliceConfig, assumed: Any) -> list[tuple[bool, float]]:
    """Whether the interval of each slice with enough events holds the mean probability of its events to err."""
    data = slice_data(errors, assumed)
    everything = config.model_copy(update={"min_errors": 0})
    held = []
    for family in [*((key,) for key in COVERED), *combinations(COVERED, 2)]:
        tests = family_tests(data, family, everything)
        low, high = wilson_interval(tests.rate, tests.n_effective, config.confidence)
        truth: dict[tuple[str, ...], list[float]] = defaultdict(list)
        for *values, p in zip(*(world.events[key] for key in family), world.events["p_wrong"].tolist(), strict=True):
            truth[tuple(values)].append(p)
        for place, codes in enumerate(tests.codes.tolist()):
            named = tuple(data.values[key][code] for key, code in zip(family, codes, strict=True))
            if named not in truth:  # a wrong label made a slice that no event belongs to
                continue
            rate = float(np.mean(truth[named]))
            held.append((bool(low[place] <= rate <= high[place]), float(high[place] - low[place])))
    return held


def run(report: Report, n_worlds: int, n_empty: int, n_other: int, seeds: Sequence[int]) -> None:
    """Judge worlds of both makers, planted and empty, into the report's rows and summary."""
    config = AuditConfig()
    held: dict[str, list[tuple[bool, float]]] = defaultdict(list)
    for seed in seeds:
        rng = np.random.default_rng(seed)
        for place in range(n_worlds + n_empty):
            kinds = tuple(rng.permutation(KINDS)[:N_PLANTED].tolist()) if place < n_worlds else ()
            result, covered = judge_world(make_world(1000 * seed + place, kinds), config)
            report.rows.append({"maker": "first", "seed": seed, "world": place} | result)
            if "labeller" not in kinds:  # a wrong label moves the truth itself, which no interval can know
                held["first"] += covered
        for shape in SHAPES:
            for place in range(2 * n_other):
                kinds = tuple(rng.permutation(OTHER_KINDS)[:N_PLANTED].tolist()) if place < n_other else ()
                result, covered = judge_world(make_other_world(1000 * seed + place, kinds, shape), config)
                report.rows.append({"maker": shape, "seed": seed, "world": place} | result)
                held[shape] += covered
        report.progress(f"seed {seed}")
    first = [row for row in report.rows if row["maker"] == "first"]
    report.summary = _summary(first, held["first"]) | _by_kind(first, KINDS)
    report.summary["n_intervals"] = len(held["first"])
    sampled = [shape for shape in SHAPES if shape != "flagged"]
    groups: dict[str, list[str]] = {"other": sampled} | {f"other_{shape}": [shape] for shape in SHAPES}
    for name, shapes in groups.items():
        rows = [row for row in report.rows if row["maker"] in shapes]
        found = _summary(rows, [one for shape in shapes for one in held[shape]])
        report.summary |= {f"{name}_{key}": value for key, value in found.items()}
    others = [row for row in report.rows if row["maker"] in sampled]
    report.summary |= {f"other_{key}": value for key, value in _by_kind(others, OTHER_KINDS).items()}


def _summary(rows: list[dict[str, Any]], held: list[tuple[bool, float]]) -> dict[str, float | None]:
    """Found, false and covered over some worlds."""
    planted = [row for row in rows if row["planted"]]
    empty = [row for row in rows if not row["planted"]]
    n_planted = sum(len(row["planted"]) for row in planted)
    n_reported = sum(row["n_reported"] for row in planted)
    return {
        "recall": sum(len(row["found"]) for row in planted) / max(1, n_planted),
        "recall_without_cause": sum(len(row["named"]) for row in planted) / max(1, n_planted),
        "false_discovery_rate": sum(row["n_false"] for row in planted) / max(1, n_reported),
        "reported_per_world": n_reported / max(1, len(planted)),
        "empty_world_slices_per_world": sum(row["n_reported"] for row in empty) / max(1, len(empty)),
        "interval_coverage": float(np.mean([is_held for is_held, _ in held])) if held else None,
        "interval_width_median": float(np.median([width for _, width in held])) if held else None,
        "n_worlds": len(planted),
        "n_empty_worlds": len(empty),
        "seconds_per_world": float(np.mean([row["seconds"] for row in rows])),
    }


def _by_kind(rows: list[dict[str, Any]], kinds: Sequence[str]) -> dict[str, float | None]:
    recall: dict[str, float | None] = {}
    for kind in kinds:
        n = sum(kind in row["planted"] for row in rows)
        recall[f"recall_{kind}"] = sum(kind in row["found"] for row in rows) / n if n else None
    return recall


def main() -> None:
    """Run from the command line."""
    chosen = options(__doc__.splitlines()[0]).parse_args()
    report = Report("audit", resolve_device("cpu"), notes=_NOTES)
    n_worlds, n_empty, n_other = (2, 2, 1) if chosen.quick else (12, 12, 4)
    run(report, n_worlds, n_empty, n_other, seeds=chosen.seed[:1] if chosen.quick else chosen.seed)
    report.show(("maker", "seed", "world", "n_labels", "n_tests", "n_reported", "n_false", "seconds"), "worlds")
    for row in report.rows:  # the slices themselves would make the file long
        del row["reported"]
    report.finish(chosen.json)


_NOTES = {
    "found": "a reported slice (q < 0.05, not explained by another) names the planted error and gives its cause",
    "false": "a reported slice that names none of the planted errors",
    "other": "worlds of the second maker (benchmarks.audit.other_worlds), on which no rule was tuned; `other` leaves out the "
    "shape `flagged`, where nothing but flagged pictures is labelled and no interval can know the rate of all pictures",
    "coverage": "intervals of all slices with enough events against the probability to err of all their events",
}


if __name__ == "__main__":
    main()

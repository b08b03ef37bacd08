"""The second maker's worlds: errors of other kinds than the third's, in other shapes.

Kept for what the third maker does not plant: errors by hour, by flank of everybody, by ghosts at one station, of a newcomer, and
two of one individual that overlap; and for its shapes (many individuals, long bursts). The first maker, on which the rules were
tuned, planted nothing that the third does not, and is gone.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from benchmarks.audit.other_worlds import OTHER_KINDS, SHAPES, make_other_world
from benchmarks.audit.worlds import World, load_world, names, slices_of
from benchmarks.common import Report
from scd_core.audit.errors.derive import derive_errors
from scd_core.config import AuditConfig

__all__ = ["run_shapes"]

N_PLANTED = 6


def judge_world(world: World, config: AuditConfig) -> dict[str, Any]:
    """What was found in one world."""
    started = time.perf_counter()
    with load_world(world) as connection:
        slices = slices_of(connection, derive_errors(connection, config), config.slices).to_pylist()
    reported = [row for row in slices if row["is_systematic"] and row["folded_into"] is None]
    hits = [[one for one in world.planted if names(one, dict(row["slice"]))] for row in reported]
    return {
        "planted": [one.kind for one in world.planted],
        "named": sorted({one.kind for of in hits for one in of}),
        "with_cause": sorted(
            {one.kind for of, row in zip(hits, reported, strict=True) for one in of if row["cause"] in one.causes}
        ),
        "n_reported": len(reported),
        "n_unnamed": sum(not of for of in hits),
        "seconds": time.perf_counter() - started,
    }


def run_shapes(report: Report, seed: int, n_worlds: int) -> None:
    """Judge worlds of every shape, with six planted errors and with none, a row of the report for each."""
    config = AuditConfig()
    rng = np.random.default_rng((seed, 5))
    for shape in SHAPES:
        judged = []
        for place in range(2 * n_worlds):
            kinds = tuple(rng.permutation(OTHER_KINDS)[:N_PLANTED].tolist()) if place < n_worlds else ()
            judged.append(judge_world(make_other_world(1000 * seed + place, kinds, shape), config))
        planted, empty = judged[:n_worlds], judged[n_worlds:]
        n = sum(len(row["planted"]) for row in planted)
        row: dict[str, Any] = {
            "shape": shape,
            "n_worlds": n_worlds,
            "recall": sum(len(row["named"]) for row in planted) / n,
            "recall_with_cause": sum(len(row["with_cause"]) for row in planted) / n,
            "unnamed": sum(row["n_unnamed"] for row in planted) / n_worlds,
            "in_empty_worlds": sum(row["n_reported"] for row in empty) / n_worlds,
            "seconds": float(np.mean([row["seconds"] for row in judged])),
        }
        for kind in OTHER_KINDS:
            of = [row for row in planted if kind in row["planted"]]
            row[f"recall_{kind}"] = sum(kind in row["named"] for row in of) / len(of) if of else None
        report.rows.append(row)
        report.summary |= {
            f"other_{shape}_{key}": row[key] for key in ("recall", "recall_with_cause", "unnamed", "in_empty_worlds")
        }
        report.progress(f"shape {shape}")
    report.show(
        ("shape", "n_worlds", "recall", "recall_with_cause", "unnamed", "in_empty_worlds", "seconds"), "second maker"
    )

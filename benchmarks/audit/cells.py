"""Does the audit find the planted errors, and only those, whatever people label? Against simple methods on the same labels.

    python -m benchmarks.audit [--json FILE] [--quick] [--seed N] [--maker forest|other] [--regime NAME ...] [--worlds N]
        [--empty] [--method NAME ...] [--show]

A cell is a labelling regime (:data:`benchmarks.audit.forest.labels.REGIMES`), with six planted errors a world or, with `--empty`,
none as well, and a method; `everything` is always without planted errors. A planted error is *named* where a reported slice (of
the audit: systematic and explained by no other) has its camera, individual, pair, flank, quality or labeller, and contradicts
none of its keys; it is found *with its cause* where that slice has a right one. It is *findable* where Fisher's exact test of the
planted slice itself on those labels has p < 1e-4. A reported slice that names nothing planted is *unnamed*; it is *false* where
its visits err, by their true probabilities, less than 1.2 times as often as the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.audit.detection import run_shapes
from benchmarks.audit.forest.errors import KINDS
from benchmarks.audit.forest.labels import REGIMES
from benchmarks.audit.forest.world import N_PLANTED, make_forest
from benchmarks.audit.judging import METHODS, judge
from benchmarks.common import Report, options, resolve_device
from scd_core.audit.slices.statistics import wilson_interval
from scd_core.config import AuditConfig

__all__ = ["mean_with_interval", "run_cells", "share_with_interval"]

WORLDS, QUICK_WORLDS = 24, 2
COVERAGE_WORLDS = 8
"""Worlds of a cell whose intervals are looked at: more than a thousand."""
DRAWS = 2000
"""Bootstrap draws over worlds for intervals of means."""


def run_cells(
    report: Report, seed: int, regimes: Sequence[str], methods: Sequence[str], n_worlds: int, planted: Sequence[bool]
) -> list[dict[str, Any]]:
    """Judge every method on the same worlds in every regime, a row of the report for each cell: only the labels differ.

    Returns:
        What each method found in each world.
    """
    config = AuditConfig()
    worlds: list[dict[str, Any]] = []
    for regime in regimes:
        for has_planted in (False,) if regime == "everything" else planted:
            judged: dict[str, list[dict[str, Any]]] = {method: [] for method in methods}
            for place in range(n_worlds):
                numbered = (seed, 7, int(has_planted), place)
                world = make_forest(numbered, REGIMES[regime], N_PLANTED if has_planted else 0)
                for method in methods:
                    one = judge(world, method, config, has_coverage=place < COVERAGE_WORLDS)
                    if one is not None:
                        judged[method].append({"regime": regime, "world": place} | one)
            for method, rows in judged.items():
                if not rows:
                    continue  # not installed
                is_planted = "yes" if has_planted else "no"
                report.rows.append({"regime": regime, "planted": is_planted, "method": method} | summarise(rows))
                worlds += rows
            report.progress(f"{regime}, {'planted' if has_planted else 'empty'}: {n_worlds} worlds")
    for row in report.rows:
        if row["method"] == "audit":
            cell = row["regime"] if row["planted"] == "yes" else f"{row['regime']}_empty"
            report.summary |= {f"{cell}_{key}": row[key] for key in _MEASURES if key in row}
    return worlds


def summarise(rows: list[dict[str, Any]]) -> dict[str, float | None]:
    """The measures of a cell, each share with its 95 % Wilson interval, each mean with a bootstrap one over worlds."""
    found: dict[str, float | None] = {"n_worlds": len(rows)}
    if rows[0]["planted"]:
        n = sum(len(row["planted"]) for row in rows)
        findable = [(set(row["findable"]), set(row["named"])) for row in rows]
        found |= share_with_interval("recall", sum(len(row["named"]) for row in rows), n)
        if rows[0]["method"] == "audit":
            found |= share_with_interval("recall_with_cause", sum(len(row["with_cause"]) for row in rows), n)
            found |= _onsets(rows)
        found |= share_with_interval(
            "recall_findable", sum(len(a & b) for a, b in findable), sum(len(a) for a, _ in findable)
        )
        found["findable"] = sum(len(a) for a, _ in findable) / n
        for kind in KINDS:
            of = [row for row in rows if kind in row["planted"]]
            found[f"recall_{kind}"] = sum(kind in row["named"] for row in of) / len(of) if of else None
            if rows[0]["method"] == "audit":
                found[f"cause_{kind}"] = sum(kind in row["with_cause"] for row in of) / len(of) if of else None
    found |= mean_with_interval("unnamed", [row["n_unnamed"] for row in rows])
    found |= mean_with_interval("false", [row["n_false"] for row in rows])
    biases = [row["error_rate"] - row["true_error_rate"] for row in rows if row["error_rate"] is not None]
    found |= mean_with_interval("bias", biases) if biases else {"bias": None}
    n_intervals = sum(row["n_intervals"] for row in rows)
    found["coverage"] = sum(row["n_held"] for row in rows) / n_intervals if n_intervals else None
    found["printed"] = len(biases) / len(rows)
    found["reported"] = float(np.mean([row["n_reported"] for row in rows]))
    found["labelled_visits"] = float(np.mean([row["n_labelled_visits"] for row in rows]))
    found["seconds"] = float(np.mean([row["seconds"] for row in rows]))
    return found


def share_with_interval(name: str, x: int, n: int) -> dict[str, float | None]:
    """A share with its 95 % Wilson interval; null of none."""
    if not n:
        return {name: None}
    low, high = wilson_interval(np.array([x / n]), np.array([float(n)]), 0.95)
    return {name: x / n, f"{name}_low": float(low[0]), f"{name}_high": float(high[0])}


def _onsets(rows: list[dict[str, Any]]) -> dict[str, float | None]:
    """How slices of errors that began in mid-season, and of those that were there from the start, are dated."""
    onsets = [one for row in rows for one in row["onsets"]]
    late = [one for one in onsets if one["has_onset"]]
    dated = [one for one in late if one["is_given"]]
    early = [one["is_given"] for one in onsets if not one["has_onset"]]
    return {
        "onset_given": len(dated) / len(late) if late else None,
        "onset_held": sum(one["is_held"] for one in dated) / len(dated) if dated else None,
        "onset_days_off": float(np.median([one["days_off"] for one in dated])) if dated else None,
        "false_onset": sum(early) / len(early) if early else None,
    }


def mean_with_interval(name: str, values: Sequence[float]) -> dict[str, float | None]:
    """A mean over worlds with its 95 % bootstrap interval."""
    drawn = np.random.default_rng(0).choice(np.asarray(values, float), (DRAWS, len(values))).mean(1)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return {name: float(np.mean(values)), f"{name}_low": float(low), f"{name}_high": float(high)}


def main() -> None:
    """Run from the command line."""
    parser = options(__doc__.splitlines()[0])
    parser.add_argument("--maker", choices=("forest", "other"), default="forest", help="maker of the worlds")
    parser.add_argument("--regime", nargs="+", choices=[*REGIMES], default=[*REGIMES], help="what is labelled")
    parser.add_argument("--method", nargs="+", choices=METHODS, default=[*METHODS], help="methods to judge")
    parser.add_argument("--worlds", type=int, help=f"worlds a cell; {WORLDS}, or {QUICK_WORLDS} with --quick")
    parser.add_argument("--empty", action="store_true", help="judge worlds without planted errors as well")
    parser.add_argument("--show", action="store_true", help="print the slices that name nothing planted")
    chosen = parser.parse_args()
    n_worlds = chosen.worlds or (QUICK_WORLDS if chosen.quick else WORLDS)
    report = Report("audit", resolve_device("cpu"), notes=_NOTES)
    if chosen.maker == "other":
        run_shapes(report, chosen.seed[0], max(1, n_worlds // 3))
    else:
        planted = (True, False) if chosen.empty else (True,)
        worlds = run_cells(report, chosen.seed[0], chosen.regime, chosen.method, n_worlds, planted)
        report.show(_COLUMNS, "cells")
        if chosen.show:
            _show_worlds(worlds)
    report.finish(chosen.json)


def _show_worlds(worlds: list[dict[str, Any]]) -> None:
    """Print what each method missed, gave another cause, and reported beside the planted errors."""
    for row in worlds:
        print(row["regime"], "world", row["world"], row["method"], f"{row['seconds']} s")
        print("  missed:", *(set(row["planted"]) - set(row["named"])))
        print("  named with another cause:", *(set(row["named"]) - set(row["with_cause"])))
        print("  findable:", *row["findable"])
        print("  names nothing planted:", *row["unnamed"], sep="\n    ")


_MEASURES = (
    "recall", "recall_with_cause", "recall_findable", "unnamed", "false", "bias",
    "onset_given", "onset_held", "false_onset",
    "seconds",
)  # fmt: skip
_COLUMNS = (
    "regime", "planted", "method", "n_worlds", "labelled_visits", "recall", "recall_with_cause", "findable", "recall_findable",
    "unnamed", "false", "bias", "printed", "coverage", "reported", "seconds",
)  # fmt: skip
_NOTES = {
    "recall": "share of the planted errors that a reported slice names; recall_with_cause: and gives a right cause; "
    "recall_findable: of those whose own Fisher test on the labels has p < 1e-4",
    "unnamed": "reported slices a world that name nothing planted; false: those of them with a true lift below 1.2",
    "coverage": "share of the intervals of all slices by one key that hold the true rate, whether reported or not",
    "onset": "of slices that name an error which began in mid-season: given: has an onset; held: whose interval has the "
    "true day; days_off: median; false_onset: share of the slices of other planted errors that have an onset",
    "bias": "the overall error rate that is printed minus the true one; printed: share of the worlds that print one",
    "group_by, slice_line": "give no causes",
    "slice_line": "the package sliceline (left out where it is not installed): its 10 best slices with a positive score, "
    "whatever is there; it has no rate",
}


if __name__ == "__main__":
    main()

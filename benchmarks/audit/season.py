"""90 nightly reports of a season: is anything announced that is not there, and how late is what is there?

    python -m benchmarks.audit.season [--json FILE] [--quick] [--seed N] [--worlds N] [--empty N]

Every night one day of pictures and the labels that came in by then (all flagged, 5 % controls, each labeller's delays) are added,
and the audit is derived as a report derives it. An error is *announced* on the night whose report first shows a slice as `new`.

- Empty worlds (:data:`EVEN`): every visit errs with the same probability and every wrong name is as likely as any other, so that
  whatever is announced is false. The share of the worlds with a false announcement on any night is to be at most .05.
- Planted worlds (:data:`STATION`): five errors each. A *single look* is the same audit without the care for its many nights: the
  first night on which it shows a systematic slice that names the error, and that no other explains.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from benchmarks.audit.cells import mean_with_interval, share_with_interval
from benchmarks.audit.forest.animals import Forest
from benchmarks.audit.forest.labels import REGIMES
from benchmarks.audit.forest.tables import START
from benchmarks.audit.forest.world import ForestWorld, make_forest, true_lift
from benchmarks.audit.judging import MIN_TRUE_LIFT
from benchmarks.audit.worlds import load_tables, names, slices_of
from benchmarks.common import Report, options, resolve_device
from scd_core.audit.errors.derive import derive_errors
from scd_core.config import AuditConfig
from scd_core.names import Trend

__all__ = ["nightly_slices"]

STATION = Forest(n_cameras=12, n_known=20, n_strangers=2, n_visits=1500, sizes=(30.0, 90.0))
EVEN = replace(STATION, noise_spread=0.0, stranger_noise=1.0, likeness=1e4)
N_PLANTED, FIRST_NIGHT, NIGHTS = 5, 31, 90
WORLDS, QUICK_WORLDS = 24, 1
EMPTY, QUICK_EMPTY = 100, 1
_OF_A_DAY = ("media", "predictions", "masks", "reclassifications", "runs")


def nightly_slices(world: ForestWorld, config: AuditConfig) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """Each night and the rows of ``error_slices`` that its report has; the night before the first is a report too.

    Args:
        world: a world with a batch for each day.
        config: settings.
    """
    previous: pa.Table | None = None
    with load_tables({}) as connection:
        for table in (*_OF_A_DAY, "labels"):
            connection.register(f"all_{table}", world.tables[table])
        shown = 0
        for night in range(FIRST_NIGHT - 1, FIRST_NIGHT + NIGHTS):
            _add(connection, shown, night)
            shown = night
            report_id = f"night{night:03d}"
            errors = derive_errors(connection, config, report_id)
            previous = slices_of(connection, errors, config.slices, previous, report_id)
            yield night, previous.to_pylist()


def _add(connection: duckdb.DuckDBPyConnection, after: int, until: int) -> None:
    """Add the pictures of some days to the tables, and the labels imported on them."""
    for table in _OF_A_DAY:
        connection.execute(
            f"INSERT INTO {table} SELECT * FROM all_{table} WHERE batch_key > $after AND batch_key <= $until",
            {"after": f"cards{after - 1:03d}", "until": f"cards{until - 1:03d}"},
        )
    connection.execute(
        "INSERT INTO labels SELECT * FROM all_labels WHERE imported_at > $after AND imported_at <= $until",
        {"after": START + timedelta(days=after), "until": START + timedelta(days=until)},
    )


def judge_season(world: ForestWorld, config: AuditConfig) -> dict[str, Any]:
    """On which nights the planted errors were seen and announced, and what was announced that names none."""
    seen: dict[str, int] = {}
    announced: dict[str, int] = {}
    false: list[dict[str, str]] = []
    started = time.perf_counter()
    for night, rows in nightly_slices(world, config):
        for row in rows:
            if not row["is_systematic"] or row["folded_into"] is not None:
                continue
            values = dict(row["slice"])
            hits = [one.kind for one in world.planted if names(one, values)]
            is_announced = row["trend"] == Trend.NEW
            for kind in hits:
                seen.setdefault(kind, night)
                if is_announced:
                    announced.setdefault(kind, night)
            if is_announced and not hits and true_lift(world, values) < MIN_TRUE_LIFT:
                false.append(values | {"night": str(night)})
    return {
        "planted": [one.kind for one in world.planted],
        "seen": seen,
        "announced": announced,
        "false_announced": false,
        "seconds": time.perf_counter() - started,
    }


def run(report: Report, seed: int, n_planted: int, n_empty: int) -> None:
    """Follow worlds through the season, a row of the report for the planted and one for the empty ones."""
    config, regime = AuditConfig(), REGIMES["controls_5"]
    for title, n_worlds, n_errors, forest in (("planted", n_planted, N_PLANTED, STATION), ("empty", n_empty, 0, EVEN)):
        judged = []
        for place in range(n_worlds):
            world = make_forest((seed, 89, n_errors, place), regime, n_errors, forest, batch_days=1)
            judged.append(judge_season(world, config))
            report.progress(f"{title} {place}: {judged[-1]}")
        if judged:
            report.rows.append({"worlds": title, "n_worlds": n_worlds} | summarise(judged))
            report.summary |= {f"{title}_{key}": report.rows[-1].get(key) for key in _MEASURES}


def summarise(judged: list[dict[str, Any]]) -> dict[str, float | None]:
    """Shares and delays of some worlds."""
    n_errors = sum(len(one["planted"]) for one in judged)
    both = [(one["announced"][kind] - one["seen"][kind]) for one in judged for kind in one["announced"]]
    found: dict[str, float | None] = {}
    found |= share_with_interval("false_worlds", sum(bool(one["false_announced"]) for one in judged), len(judged))
    found |= share_with_interval("seen", sum(len(one["seen"]) for one in judged), n_errors)
    found |= share_with_interval("announced", sum(len(one["announced"]) for one in judged), n_errors)
    if both:
        found |= mean_with_interval("nights_later", both) | {"nights_later_median": float(np.median(both))}
    return found | {"seconds": float(np.mean([one["seconds"] for one in judged]))}


def main() -> None:
    """Run from the command line."""
    parser = options(__doc__.splitlines()[0])
    parser.add_argument("--worlds", type=int, help=f"planted worlds; {WORLDS}, or {QUICK_WORLDS} with --quick")
    parser.add_argument("--empty", type=int, help=f"empty worlds; {EMPTY}, or {QUICK_EMPTY} with --quick")
    chosen = parser.parse_args()
    n_planted = (QUICK_WORLDS if chosen.quick else WORLDS) if chosen.worlds is None else chosen.worlds
    n_empty = (QUICK_EMPTY if chosen.quick else EMPTY) if chosen.empty is None else chosen.empty
    report = Report("audit_season", resolve_device("cpu"), notes=_NOTES)
    run(report, chosen.seed[0], n_planted, n_empty)
    report.show(("worlds", "n_worlds", *_MEASURES, "nights_later_median", "seconds"), "90 nights")
    report.finish(chosen.json)


_MEASURES = ("false_worlds", "seen", "announced", "nights_later")
_NOTES = {
    "false_worlds": "share of the worlds with an announcement on any night that names nothing planted "
    "and whose visits do not err more often, by their true probabilities",
    "seen": "share of the planted errors that a look on some night shows, announced: that are announced on some night",
    "nights_later": "nights from the first look that shows an error to its announcement",
}

if __name__ == "__main__":
    main()

"""Ten nights of 30 labels: the program's list of what to label next against pictures drawn without it.

    python -m benchmarks.audit.nights [--json FILE] [--quick] [--seed N] [--worlds N]

Worlds of a small station (:data:`STATION`) with five planted errors each, of which nothing is labelled at first. Each night 30
pictures are labelled: the first 30 of the program's list (:func:`scd_core.audit.queue.draw.draw_queue`), or 20 flagged and 10
unflagged ones drawn at random from what is not labelled yet. After ten nights both sets of labels are looked at by the same plain
group-by and by the audit: which planted errors are found, and how far is the overall rate from the true one?
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.audit.cells import mean_with_interval, share_with_interval
from benchmarks.audit.forest.animals import Forest, Ints
from benchmarks.audit.forest.labels import Labelling, Regime
from benchmarks.audit.forest.tables import label_columns, to_arrow
from benchmarks.audit.forest.world import ForestWorld, make_forest
from benchmarks.audit.judging import judge
from benchmarks.audit.worlds import load_tables
from benchmarks.common import Report, options, resolve_device
from scd_core.audit.errors.derive import derive_errors
from scd_core.audit.queue.draw import draw_queue
from scd_core.config import AuditConfig

__all__ = ["label_by_list", "label_by_lot"]

STATION = Forest(n_cameras=16, n_known=30, n_strangers=3, n_visits=2000, sizes=(40.0, 120.0))
N_PLANTED, NIGHTS, A_NIGHT, FLAGGED_A_NIGHT = 5, 10, 30, 20
WORLDS, QUICK_WORLDS = 24, 2
NOTHING = Regime()
FIRST_DAY = 121
"""Day of the first night, after the season."""


def label_by_list(world: ForestWorld, rng: np.random.Generator) -> ForestWorld:
    """The world with the labels of ten nights by the program's list."""
    seed = int(rng.integers(1000))
    with load_tables(world.tables) as connection:
        chosen: list[Ints] = []
        for _ in range(NIGHTS):
            listed = draw_queue(connection, A_NIGHT, seed=seed)["target_id"]
            chosen.append(pc.index_in(listed, world.tables["predictions"]["target_id"]).to_numpy())
            _insert(connection, "labels", labelled_world(world, chosen).tables["labels"])
            _insert(connection, "errors", derive_errors(connection))
    return labelled_world(world, chosen)


def label_by_lot(world: ForestWorld, rng: np.random.Generator) -> ForestWorld:
    """The world with the labels of ten nights of 20 flagged and 10 unflagged pictures, drawn at random."""
    flagged = rng.permutation(np.flatnonzero(world.frames.has_reason))
    others = rng.permutation(np.flatnonzero(~world.frames.has_reason))
    n, m = FLAGGED_A_NIGHT, A_NIGHT - FLAGGED_A_NIGHT
    return labelled_world(
        world,
        [np.concatenate([flagged[n * k : n * (k + 1)], others[m * k : m * (k + 1)]]) for k in range(NIGHTS)],
    )


def labelled_world(world: ForestWorld, nights: list[Ints]) -> ForestWorld:
    """The world in which some frames are labelled, those of each night on their day."""
    n = world.frames.event.size
    is_labelled, day = np.zeros(n, bool), np.zeros(n)
    for night, rows in enumerate(nights):
        is_labelled[rows] = True
        day[rows] = FIRST_DAY + night
    labelling = Labelling(world.labelling.is_control, is_labelled, day, world.labelling.has_flank)
    media = world.tables["media"]
    columns = label_columns(
        world.visits, world.found, world.frames, labelling, world.forest,
        media["media_id"].combine_chunks(), media["file"].combine_chunks(),
    )  # fmt: skip
    return replace(world, labelling=labelling, tables=world.tables | {"labels": to_arrow("labels", columns)})


def _insert(connection: duckdb.DuckDBPyConnection, table: str, rows: pa.Table) -> None:
    """Fill a table as the night's import of labels, or its report, does."""
    connection.register("rows", rows)
    connection.execute(f"CREATE OR REPLACE TABLE {table} AS SELECT * FROM rows")
    connection.unregister("rows")


def two_strata_rate(world: ForestWorld) -> float:
    """The rate that somebody who knows how the pictures were drawn computes: flagged and unflagged ones, each by its share."""
    flagged, labelled, wrong = world.frames.has_reason, world.labelling.is_labelled, world.frames.is_wrong
    return float(sum(of.mean() * wrong[of & labelled].mean() for of in (flagged, ~flagged) if (of & labelled).any()))


def run(report: Report, seed: int, n_worlds: int) -> None:
    """Both ways of labelling in the same worlds, into the report's rows and summary."""
    config = AuditConfig()
    judged: dict[str, list[dict[str, Any]]] = {}
    for place in range(n_worlds):
        world = make_forest((seed, 90, place), NOTHING, N_PLANTED, STATION)
        for name, choose in (("list", label_by_list), ("lot", label_by_lot)):
            labelled = choose(world, np.random.default_rng((seed, 91, place)))
            for method in ("group_by", "audit"):
                one = judge(labelled, method, config)
                assert one is not None
                if method == "group_by" and name == "lot":
                    one["error_rate"] = two_strata_rate(labelled)
                judged.setdefault(f"{name}_{method}", []).append(
                    one | {"n_labels": labelled.labelling.is_labelled.sum()}
                )
        report.progress(f"world {place}")
    for cell, rows in judged.items():
        name, method = cell.split("_", 1)
        found = sum(len(row["named"]) for row in rows)
        row: dict[str, Any] = {"labels": name, "found_by": method, "n_planted": N_PLANTED * len(rows), "n_found": found}
        row |= share_with_interval("recall", found, N_PLANTED * len(rows))
        row["n_labels"] = float(np.mean([one["n_labels"] for one in rows]))
        row |= mean_with_interval("labelled_visits", [one["n_labelled_visits"] for one in rows])
        row |= mean_with_interval("false", [one["n_false"] for one in rows])
        if cell != "list_group_by":  # the plain share of wrong labels of a list with strata is no rate
            row |= mean_with_interval("bias", [one["error_rate"] - one["true_error_rate"] for one in rows])
        report.rows.append(row)
        report.summary |= {f"{cell}_{key}": row.get(key) for key in ("recall", "bias")}


def main() -> None:
    """Run from the command line."""
    parser = options(__doc__.splitlines()[0])
    parser.add_argument("--worlds", type=int, help=f"worlds; {WORLDS}, or {QUICK_WORLDS} with --quick")
    chosen = parser.parse_args()
    report = Report("audit_nights", resolve_device("cpu"), notes=_NOTES)
    run(report, chosen.seed[0], chosen.worlds or (QUICK_WORLDS if chosen.quick else WORLDS))
    report.show(
        ("labels", "found_by", "n_planted", "n_found", "recall", "n_labels", "labelled_visits", "false", "bias"),
        "ten nights",
    )
    report.finish(chosen.json)


_COLUMNS = ("labels", "found_by", "n_planted", "n_found", "recall", "n_labels", "labelled_visits", "false", "bias")
_NOTES = {
    "labels": "list: the program's list; lot: 20 flagged and 10 unflagged pictures a night, at random",
    "bias": "of the audit: the printed rate minus the true one; of the plain group-by: the rate of the two strata",
}

if __name__ == "__main__":
    main()

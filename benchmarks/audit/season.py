"""90 nightly reports of a season: is anything announced that is not there, and how late is what is there?

    python -m benchmarks.audit.season [--json FILE] [--quick] [--seed N] [--worlds N] [--empty N]

Every night one day of pictures and the labels that came in by then (all flagged, 5 % controls, each labeller's delays) are added,
and slices are tested, judged and announced as a report does; which slice explains which, and in what words, is left out. The
worlds are derived together, and each world's slices are tested by themselves.

- Empty worlds (:data:`EVEN`): every visit errs with the same probability and every wrong name is as likely as any other, so that
  whatever is announced is false. The share of the worlds with an announcement on any night is to be at most .05.
- Planted worlds (:data:`STATION`): five errors each. An error is *announced* on the night that first has an announced slice that
  names it. A *single look* is the same audit without the care for its many nights: the first night on which a slice that names
  the error is systematic.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.audit.cells import mean_with_interval, share_with_interval
from benchmarks.audit.forest.animals import Forest
from benchmarks.audit.forest.labels import REGIMES
from benchmarks.audit.forest.tables import START, batch_name
from benchmarks.audit.forest.world import ForestWorld, make_forest, true_lift
from benchmarks.audit.judging import MIN_TRUE_LIFT
from benchmarks.audit.worlds import load_tables, names
from benchmarks.common import Report, options, resolve_device
from scd_core.audit.errors.derive import derive_errors, known_exposures
from scd_core.audit.slices.data import slice_data
from scd_core.audit.slices.derive import tested_slices
from scd_core.audit.slices.tested import TestedSlice
from scd_core.config import AuditConfig
from scd_core.names import UNKNOWN

__all__ = ["nightly_slices"]

STATION = Forest(n_cameras=12, n_known=20, n_strangers=2, n_visits=1500, sizes=(30.0, 90.0))
EVEN = Forest(
    n_cameras=6, n_known=10, n_strangers=1, n_visits=500, noise=0.1, noise_spread=0.0, stranger_noise=1.0, likeness=1e4
)
N_PLANTED, FIRST_NIGHT, NIGHTS = 5, 31, 90
WORLDS, QUICK_WORLDS = 24, 1
EMPTY, QUICK_EMPTY = 100, 2
_TOGETHER = 25
"""Worlds that are derived in one database: most of a derivation's time is that of its queries, not of their rows."""
_OF_A_DAY = ("media", "predictions", "masks", "reclassifications", "runs")
_IDS = (
    "run_id", "batch_key", "media_id", "target_id", "event_id", "file", "uri", "camera_id", "deployment_id", "import_id",
    "label_id", "individual_id", "labelled_by", "predicted_id", "event_predicted_id",
)  # fmt: skip
"""Columns by which rows of one world belong together."""


def nightly_slices(worlds: Sequence[ForestWorld], config: AuditConfig) -> Iterator[tuple[int, list[list[TestedSlice]]]]:
    """Each night, and for each world the slices that are systematic or announced.

    The worlds are derived together, each with names, cameras and batches of its own, then the slices of each world are tested by
    themselves. One number is common to the worlds: the labelled share of flags, of a batch without any, is that of all batches.

    Args:
        worlds: worlds with a batch for each day.
        config: settings.
    """
    marks = [f"{place:03d}~" for place in range(len(worlds))]
    with load_tables({}) as connection:
        for table in (*_OF_A_DAY, "labels"):
            of_all = [_marked(world.tables[table], mark) for world, mark in zip(worlds, marks, strict=True)]
            connection.register(f"all_{table}", pa.concat_tables(of_all))
        shown = 0
        for night in range(FIRST_NIGHT, FIRST_NIGHT + NIGHTS):
            _add(connection, shown, night)
            shown = night
            errors, exposures = derive_errors(connection, config), known_exposures(connection)
            reports = []
            for mark in marks:
                tested, _ = tested_slices(slice_data(_of(errors, mark), _of(exposures, mark)), config.slices)
                found = [one for one in tested if one.is_systematic or one.announced_at is not None]
                for one in found:
                    one.slice = [(key, value.replace(mark, "")) for key, value in one.slice]
                reports.append(found)
            yield night, reports


def _add(connection: duckdb.DuckDBPyConnection, after: int, until: int) -> None:
    """Add the pictures of some days to the tables, and the labels imported on them."""
    for table in _OF_A_DAY:
        connection.execute(
            f"INSERT INTO {table} SELECT * FROM all_{table} WHERE batch_key[5:] > $after AND batch_key[5:] <= $until",
            {"after": batch_name(after - 1), "until": batch_name(until - 1)},
        )
    connection.execute(
        "INSERT INTO labels SELECT * FROM all_labels WHERE imported_at > $after AND imported_at <= $until",
        {"after": START + timedelta(days=after), "until": START + timedelta(days=until)},
    )


def _marked(table: pa.Table, mark: str) -> pa.Table:
    """A world's table with its mark before all ids and names but `unknown`."""
    for name in set(_IDS) & set(table.column_names):
        column = table[name].combine_chunks()
        table = table.set_column(table.schema.get_field_index(name), table.schema.field(name), _mark(column, mark))
    for name in {"topk", "individuals"} & set(table.column_names):
        column = table[name].combine_chunks()
        values = column.values
        if name == "topk":
            values = pa.StructArray.from_arrays(
                [_mark(values.field(0), mark), values.field(1)], fields=list(values.type)
            )
        else:
            values = _mark(values, mark)
        marked = pa.ListArray.from_arrays(column.offsets, values, type=column.type)
        table = table.set_column(table.schema.get_field_index(name), table.schema.field(name), marked)
    return table


def _mark(column: pa.Array, mark: str) -> pa.Array:
    return pc.if_else(pc.equal(column, UNKNOWN), column, pc.binary_join_element_wise(mark, column, ""))


def _of(table: pa.Table, mark: str) -> pa.Table:
    return table.filter(pc.starts_with(table["camera_id"].cast(pa.string()), mark))


def judge_seasons(worlds: Sequence[ForestWorld], config: AuditConfig) -> list[dict[str, Any]]:
    """On which nights the planted errors of each world were seen and announced, and what was announced that is not there."""
    judged: list[dict[str, Any]] = [
        {"planted": [one.kind for one in world.planted], "seen": {}, "announced": {}, "false_announced": []}
        for world in worlds
    ]
    started = time.perf_counter()
    for night, reports in nightly_slices(worlds, config):
        for world, found, slices in zip(worlds, judged, reports, strict=True):
            for one in slices:
                values, is_announced = dict(one.slice), one.announced_at is not None
                hits = [planted.kind for planted in world.planted if names(planted, values)]
                for kind in hits:
                    if one.is_systematic:
                        found["seen"].setdefault(kind, night)
                    if is_announced:
                        found["announced"].setdefault(kind, night)
                is_there = hits or (world.planted and true_lift(world, values) >= MIN_TRUE_LIFT)
                if is_announced and not is_there:
                    found["false_announced"].append(values | {"night": str(night)})
    return [one | {"seconds": (time.perf_counter() - started) / len(worlds)} for one in judged]


def run(report: Report, seed: int, n_planted: int, n_empty: int) -> None:
    """Follow worlds through the season, a row of the report for the empty and one for the planted ones."""
    config, regime = AuditConfig(), REGIMES["controls_5"]
    for title, n_worlds, n_errors, forest in (("empty", n_empty, 0, EVEN), ("planted", n_planted, N_PLANTED, STATION)):
        judged = []
        for first in range(0, n_worlds, _TOGETHER):
            places = range(first, min(first + _TOGETHER, n_worlds))
            worlds = [make_forest((seed, 89, n_errors, place), regime, n_errors, forest, 1) for place in places]
            judged += judge_seasons(worlds, config)
            report.progress(f"{title}: {len(judged)} worlds")
            for one in judged[first:]:
                print(one, file=sys.stderr)
        if judged:
            report.rows.append({"worlds": title, "n_worlds": n_worlds} | summarise(judged))
            report.summary |= {f"{title}_{key}": report.rows[-1].get(key) for key in _MEASURES}


def summarise(judged: list[dict[str, Any]]) -> dict[str, float | None]:
    """Shares and delays of some worlds."""
    n_errors = sum(len(one["planted"]) for one in judged)
    both = [
        one["announced"][kind] - one["seen"][kind] for one in judged for kind in one["announced"] if kind in one["seen"]
    ]
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
    "false_worlds": "share of the worlds with an announcement on any night: of empty worlds any, of planted ones of a slice that "
    "names nothing planted and whose visits do not err more often, by their true probabilities",
    "seen": "share of the planted errors that a look on some night shows, announced: that are announced on some night",
    "nights_later": "nights from the first look that shows an error to its announcement",
}

if __name__ == "__main__":
    main()

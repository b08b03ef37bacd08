"""Is a place that gives its own name to others called a place? Real cats in real places, and beside things, as a control.

    python -m benchmarks.audit.places --work FOLDER [--json FILE] [--seed N ...]

The sets and models are those of :mod:`benchmarks.real`. In the set `place` each cat has a place of its own, and a wrong name that
is the place's owner's (a *home error*) was read off the place. In the set `thing` the places have nothing to do with the names,
so the cause `place` would be false there. All test pictures are labelled; nothing is masked, so that the rules that need no mask
show themselves. Rows of ``errors`` and the slices that a report shows are counted by cause; a slice is of home errors where at
least half of its wrong pictures are. The rule `place` was not changed after these pictures were looked at.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from benchmarks.audit.cells import share_with_interval
from benchmarks.common import ROOT, Report, options
from benchmarks.real.sets import RealSet, add_work, find_weights, make_set
from scd_core.audit.errors.derive import derive_errors, known_exposures
from scd_core.audit.query.connection import open_tables
from scd_core.audit.slices.data import slice_data, wrong_rows
from scd_core.audit.slices.derive import find_slices
from scd_core.names import Cause, ErrorType

__all__ = ["COUNTS", "count_causes", "run_names"]

SEEDS = [1, 2, 3]
COUNTS = {
    "home": "home errors",
    "home_place": "home errors with cause place",
    "home_look_alike": "home errors with cause confusable_pair",
    "other": "other wrong names",
    "other_place": "other wrong names with cause place",
    "slices": "slices of home errors that a report shows",
    "slices_place": "of these with cause place",
    "slices_look_alike": "of these with cause confusable_pair",
    "others": "other slices that a report shows",
    "others_place": "of these with cause place",
}
"""What is counted of a set."""
SETTINGS = """\
media:
  filename_pattern: (?P<captured_at>\\d{8}_\\d{4})_.*
triage:
  min_probability: 0
  min_margin: 0
  control_rate: 0
classify:
  measure_gradient: false
"""
"""Nothing is flagged, so nothing is masked."""


def run_names(folder: Path, pictures: Path, model: Path, labels: Path) -> Path:
    """OUT in `folder` of an audit by ``trapaudit run`` in which nothing is flagged; one that is there is taken as it is."""
    out = folder / "out_names"
    if not (out / "report").is_dir():
        settings = folder / "names.yaml"
        settings.write_text(SETTINGS)
        command = [sys.executable, "-m", "deployments.cli", "run", str(pictures), "--model", str(model)]
        command += ["--out", str(out), "--labels", str(labels), "--config", str(settings)]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        subprocess.run([*command, "--runner", "threads"], check=True, cwd=ROOT, env=environment, stdout=sys.stderr)
    return out


def count_causes(found: RealSet, out: Path) -> dict[str, int]:
    """Counts of :data:`COUNTS`, of errors and slices that are derived anew from the tables of OUT."""
    truth = found.truth()
    with open_tables(str(out)) as connection:
        files = dict(connection.execute("SELECT media_id, file FROM media").fetchall())
        errors = derive_errors(connection)
        exposures = known_exposures(connection)
    counts = dict.fromkeys(COUNTS, 0)
    for row in errors.to_pylist():
        if row["is_labelled"] and row["error_type"] != ErrorType.CORRECT:
            kind = "home" if _is_home(truth, files, row) else "other"
            counts[kind] += 1
            counts[f"{kind}_place"] += row["cause"] == Cause.PLACE
            counts["home_look_alike"] += kind == "home" and row["cause"] == Cause.CONFUSABLE_PAIR
    data = slice_data(errors, exposures)
    rows = data.rows.to_pylist()
    for one in find_slices(errors, exposures=exposures).to_pylist():
        if one["is_systematic"] and one["folded_into"] is None:
            homes = [_is_home(truth, files, rows[place]) for place in wrong_rows(data, dict(one["slice"])).tolist()]
            kind = "slices" if 2 * sum(homes) >= len(homes) else "others"
            counts[kind] += 1
            counts[f"{kind}_place"] += one["cause"] == Cause.PLACE
            counts["slices_look_alike"] += kind == "slices" and one["cause"] == Cause.CONFUSABLE_PAIR
    return counts


def _is_home(truth: dict[str, dict[str, str]], files: dict[str, str], row: dict[str, Any]) -> bool:
    return row["predicted_id"] == truth[files[row["media_id"]]]["home_of"]


def main() -> None:
    """Run from the command line."""
    parser = options(str(__doc__).splitlines()[0])
    parser.set_defaults(seed=SEEDS)
    add_work(parser)
    chosen = parser.parse_args()
    report = Report("audit_places", torch.device("cpu"), notes=dict(COUNTS))
    if find_weights() is None:
        report.notes["places"] = "left out: the weights are not here"
        return report.finish(chosen.json)
    for kind in ("place", "thing"):
        of_kind = []
        for seed in chosen.seed[:1] if chosen.quick else chosen.seed:
            found = make_set(chosen.work, kind, seed)
            of_kind.append(
                count_causes(found, run_names(found.folder, found.pictures, found.model, found.file("labels.csv")))
            )
            report.progress(f"{kind} {seed}: {of_kind[-1]}")
        sums = {key: sum(counts[key] for counts in of_kind) for key in COUNTS}
        report.rows.append({"kind": kind, "n_sets": len(of_kind)} | sums)
        wrong = "home" if kind == "place" else "all"
        of_place = sums["home_place"] if kind == "place" else sums["home_place"] + sums["other_place"]
        n = sums["home"] if kind == "place" else sums["home"] + sums["other"]
        report.summary |= share_with_interval(f"{kind}_{wrong}_place", of_place, n)
    report.show(("kind", "n_sets", *COUNTS), "real cats in real places")
    report.finish(chosen.json)


if __name__ == "__main__":
    main()

"""Are real look-alikes called look-alikes, and never a place? Photographs of nyala, whose names a gallery often confuses.

    python -m benchmarks.audit.look_alikes --work FOLDER [--json FILE] [--seed N ...]

A gallery of ImageNet's features knows ten nyala by the first two thirds of their sightings. The later photographs are
laid at random into five cameras, a visit a day, so that no camera has anything to do with a name: every wrong name is a
look-alike's, and the cause ``place`` would be false. All are labelled, nothing is masked. Another seed draws only the cameras
anew. No rule was changed after these pictures were looked at.
"""

from __future__ import annotations

import csv
import shutil
from collections import Counter
from datetime import timedelta
from pathlib import Path

import numpy as np
import torch

from benchmarks.audit.cells import share_with_interval
from benchmarks.audit.places import run_names
from benchmarks.common import DATA, Report, options
from benchmarks.real.sets import ARCHITECTURE, FIRST_DAY, add_work, find_weights
from scd_core.audit.errors.derive import derive_errors, known_exposures
from scd_core.audit.query.connection import open_tables
from scd_core.audit.slices.derive import find_slices
from scd_core.identify.packing import pack_gallery
from scd_core.names import Cause, ErrorType

__all__ = ["count_look_alikes", "make_nyala"]

N_CAMERAS = 5
SEEDS = [1, 2, 3]
PICTURES = DATA / "nyala"


def make_nyala(work: Path, seed: int) -> tuple[Path, Path, Path]:
    """The set's folder with `pictures`, the gallery's package, and the labels; what is there already is taken as it is."""
    folder, model = work / f"nyala{seed}", work / "nyala_model"
    with (PICTURES / "split.csv").open() as file:
        rows = list(csv.DictReader(file))
    weights = find_weights()
    assert weights is not None
    if not (model / "model.json").exists():
        known: dict[str, list[str | Path]] = {}
        for row in rows:
            if row["split"] == "train":
                known.setdefault(row["individual_id"], []).append(PICTURES / row["file"])
        pack_gallery(model, architecture=ARCHITECTURE, weights=weights, pictures=known)
    labels = folder / "labels.csv"
    if not labels.exists():
        rng = np.random.default_rng(seed)
        lines = ["file,individual_id"]
        for day, row in enumerate(one for one in rows if one["split"] == "test"):
            taken = FIRST_DAY + timedelta(days=day)
            path = f"camera{rng.integers(N_CAMERAS)}/{taken:%Y%m%d_%H%M}_{day}.jpg"
            (folder / "pictures" / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PICTURES / row["file"], folder / "pictures" / path)
            lines.append(f"{path},{row['individual_id']}")
        labels.write_text("\n".join(lines) + "\n")
    return folder, model, labels


def count_look_alikes(out: Path) -> dict[str, int]:
    """Counts of OUT: labelled pictures, wrong names, each cause of them, and slices that a report shows, by cause."""
    with open_tables(str(out)) as connection:
        errors = derive_errors(connection)
        exposures = known_exposures(connection)
    labelled = [row for row in errors.to_pylist() if row["is_labelled"]]
    causes = Counter(row["cause"] for row in labelled if row["error_type"] != ErrorType.CORRECT)
    slices = find_slices(errors, exposures=exposures).to_pylist()
    shown = Counter(one["cause"] for one in slices if one["is_systematic"] and one["folded_into"] is None)
    return {
        "labelled": len(labelled),
        "wrong": causes.total(),
        "look_alike": causes[Cause.CONFUSABLE_PAIR],
        "place": causes[Cause.PLACE],
        "slices": shown.total(),
        "slices_look_alike": shown[Cause.CONFUSABLE_PAIR],
        "slices_place": shown[Cause.PLACE],
    }


def main() -> None:
    """Run from the command line."""
    parser = options(str(__doc__).splitlines()[0])
    parser.set_defaults(seed=SEEDS)
    add_work(parser)
    chosen = parser.parse_args()
    report = Report("audit_look_alikes", torch.device("cpu"))
    if find_weights() is None or not PICTURES.exists():
        report.notes["look_alikes"] = "left out: the weights or the photographs are not here"
        return report.finish(chosen.json)
    for seed in chosen.seed[:1] if chosen.quick else chosen.seed:
        folder, model, labels = make_nyala(chosen.work, seed)
        counts = count_look_alikes(run_names(folder, folder / "pictures", model, labels))
        report.progress(f"seed {seed}: {counts}")
        report.rows.append({"seed": seed} | counts)
    first = report.rows[0]
    report.summary |= share_with_interval("look_alike", first["look_alike"], first["wrong"])
    report.summary |= share_with_interval("place", first["place"], first["wrong"])
    report.show(("seed", *counts), "real look-alikes")
    report.finish(chosen.json)


if __name__ == "__main__":
    main()

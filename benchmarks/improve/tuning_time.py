"""How long `trapaudit improve --fine-tune` takes with many labels.

``python -m benchmarks.improve.tuning_time --json FILE``. The audit's photographs of a set of :mod:`benchmarks.improve` are set
into places 27 times each, which gives 1 242 labelled frames. Pictures are read, all ways are tried, the last blocks are trained
for every split and on all labels. Copies of one photograph are one group, so the table's figures mean nothing here.
"""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.common import Report
from benchmarks.improve.sets import LABELLED_BIAS, ImproveSet, make_improve_set
from benchmarks.improve.start import begun, seeds_of, set_options
from benchmarks.real.sets import TOOL
from scd_core.config import MediaConfig
from scd_core.identify import load_model
from scd_core.improve.labelled import Labelled
from scd_core.improve.show import show_views
from scd_core.improve.trial import try_all
from scd_core.improve.tune import TuneRequest
from scd_core.media import list_objects

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark; see the module."""
    parser = set_options(__doc__, [2])
    parser.add_argument("--copies", type=int, default=27, help="frames of each photograph (%(default)s)")
    args = parser.parse_args(arguments)
    report = begun("improve_tuning_time", args)
    if report is None:
        return None
    for seed in seeds_of(args):
        found = make_improve_set(args.work, seed)
        report.rows.append({"seed": seed} | _timed(found, _many(found, seed, 2 if args.quick else args.copies), report))
    report.show(tuple(report.rows[0]), "fine-tuning with many labels")
    report.finish(args.json)


def _many(found: ImproveSet, seed: int, copies: int) -> Labelled:
    """Labelled targets of many frames of the audit's photographs, with their boxes."""
    folder = found.folder / "many"
    shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, str(TOOL), str(folder), "--cats", str(found.folder / "cats_labelled"), "--kind", "place"]
    command += ["--seed", str(seed), "--bias", str(LABELLED_BIAS), "--copies", str(copies)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    with (folder / "train.csv").open(newline="") as handle:
        table = {row["file"]: row for row in csv.DictReader(handle)}
    rows: list[dict[str, Any]] = []
    for ref in sorted(list_objects(str(folder / "train"), MediaConfig()), key=lambda one: one.file):
        row = table[ref.file]
        box = {f"bbox_{name}": float(row[name]) for name in ("x_min", "y_min", "width", "height")}
        rows.append(
            {
                "batch_key": "many", "target_id": ref.media_id, "media_id": ref.media_id, "detection_id": None,
                "true_id": row["individual_id"], "camera": row["place"], "visit": ref.media_id, "hidden_boxes": None,
                "file": ref.file, "uri": ref.uri, "etag": ref.etag, "size_bytes": ref.size_bytes, "version_id": None,
                "content_sha256": None, **box,
            }
        )  # fmt: skip
    return Labelled(rows, {"many": str(folder / "train")})


def _timed(found: ImproveSet, labelled: Labelled, report: Report) -> dict[str, Any]:
    """Seconds of clock and processor of each part."""
    work = Path(found.folder / "many_tuning")
    shutil.rmtree(work, ignore_errors=True)
    classifier = load_model(str(found.biased.model))
    row: dict[str, Any] = {"n_frames": len(labelled.rows)}
    began = time.perf_counter(), time.process_time()

    def passed(name: str) -> None:
        row[f"{name}_clock"], row[f"{name}_processor"] = time.perf_counter() - began[0], time.process_time() - began[1]
        report.progress(f"{name}: {row[f'{name}_clock']:.0f} s, {row[f'{name}_processor']:.0f} s of the processor")

    shown = show_views(labelled, classifier)
    passed("views")
    trial = try_all(labelled, shown, classifier, TuneRequest(work))
    passed("tried")
    assert trial.tuner is not None
    assert trial.tuner.fitted
    passed("all")
    shutil.rmtree(work, ignore_errors=True)
    return row


if __name__ == "__main__":
    main()

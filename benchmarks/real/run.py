"""What an audit makes of real animals in real places: errors by their true cause, flagged, explained and corrected.

``python -m benchmarks.real --json FILE``. Photographs of known cats are pasted into camera-trap places.
In the set `place` each cat has 95 % of its training pictures in a place of its own, in the set `thing` beside a thing
of its own; mobilenet_v2 is fine-tuned on them and learns the places, or the things. Each test photograph is seen at home
and at another cat's, so the cause of every wrong name is known: a name that is the home's owner was read off the place
(`home error`), a right name away from home was read off the animal (`right by the animal`). Then ``trapaudit run`` audits
the test pictures, with the animals' boxes and without, and its tables are counted.

``--alone`` makes no audit and no masks: every test picture is classified again by the three views that need none, two crops
to the animal's box and the features in it, and what they decide is counted as a suggestion, for several limits of how sure
the crops must be. It takes a minute a set.

Everything that takes long is kept in a folder (``--work``), ``<kind><seed>``: ``set`` (pictures and truth), ``model`` (package),
``audit.yaml`` (settings), ``out_boxes`` and ``out`` (OUT). A folder is taken as it is found; remove an OUT to make it
again. Seeds 1 to 3 are for choosing, all others for quoting.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import ROOT, Report, options
from benchmarks.real.alone import LEVELS, alone_rows, sure_rows
from benchmarks.real.sets import RealSet, add_work, find_weights, make_set
from scd_core.audit import read_table
from scd_core.config import ReclassifyConfig

__all__ = ["COUNTS", "count_outcomes", "main", "run_audit", "target_rows"]

COUNTS = {
    "n": "test pictures",
    "right": "named rightly",
    "by_animal": "right away from home",
    "home_right": "right at home: nothing of another cat is there, so these are the control of a correction",
    "home_right_suggested": "of these, another name is suggested: broken if it were taken",
    "home_errors": "called as the home's owner: the place, or the thing, is the cause",
    "other_errors": "other wrong names",
    "home_flagged": "home errors that are flagged",
    "flagged": "pictures that are flagged",
    "home_masked": "home errors with a mask",
    "home_explained": "home errors with cause background, overlay or place",
    "home_look_alike": "home errors with cause confusable_pair",
    "other_explained": "other wrong names with cause background, overlay or place: falsely",
    "home_corrected": "home errors whose final name is right",
    "home_suggested": "home errors for which another name is suggested",
    "home_suggested_right": "home errors for which the right name is suggested",
    "suggested": "pictures for which another name is suggested",
    "suggested_right": "of these, the right name is suggested",
    "right_suggested": "right names for which another name is suggested: broken if it were taken",
    "other_corrected": "other wrong names whose final name is right",
    "broken": "right names whose final name is wrong",
}
"""What is counted, over the test pictures of a set."""

_OUTSIDE = ("background", "overlay", "place")
_COLUMNS = ["target_id", "predicted_id", "probability", "final_id", "cause", "is_masked"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark; see the module."""
    parser = options(str(__doc__).splitlines()[0])
    parser.set_defaults(seed=[4, 5, 6, 7])
    add_work(parser)
    parser.add_argument("--kind", nargs="+", choices=("place", "thing"), default=["place", "thing"])
    parser.add_argument("--boxes", nargs="+", choices=("yes", "no"), default=["yes", "no"], help="boxes are given")
    parser.add_argument(
        "--alone", action="store_true", help="the views of the animal alone, without masks, and no audit"
    )
    parser.add_argument("--only-make", action="store_true", help="make the sets and models, audit nothing")
    args = parser.parse_args(arguments)
    report = Report("real", torch.device("cpu"))
    if find_weights() is None:
        report.notes["real"] = "left out: the weights are not here"
        return report.finish(args.json)
    for seed in args.seed[:1] if args.quick else args.seed:
        for kind in args.kind:
            found = make_set(args.work, kind, seed)
            report.progress(f"{kind} {seed}: set and model")
            if args.alone:
                rows = alone_rows(found)
                report.rows += [
                    {"kind": kind, "boxes": "alone", "seed": seed, "sure": level}
                    | count_outcomes(sure_rows(rows, level))
                    for level in LEVELS
                ]
                report.progress(f"{kind} {seed}: views of the animal alone")
            for boxes in () if args.only_make or args.alone else args.boxes:
                out = run_audit(found, use_boxes=boxes == "yes")
                counts = count_outcomes(target_rows(found, out))
                report.rows.append({"kind": kind, "boxes": boxes, "seed": seed} | counts)
                report.progress(f"{kind} {seed}, boxes {boxes}: {counts}")
    _add_sums(report, args)
    report.show(("kind", "boxes", "seed", "sure", *COUNTS), "real animals in real places")
    report.finish(args.json)


def run_audit(found: RealSet, *, use_boxes: bool) -> Path:
    """OUT of the set's audit by ``trapaudit run``; an OUT that is there is taken as it is."""
    out = found.folder / ("out_boxes" if use_boxes else "out")
    if not (out / "report").is_dir():
        command = [sys.executable, "-m", "deployments.cli", "run", str(found.pictures), "--model", str(found.model)]
        command += ["--out", str(out), "--labels", str(found.file("labels.csv"))]
        command += ["--config", str(found.folder / "audit.yaml"), "--runner", "threads"]
        if use_boxes:
            command += ["--detections", str(found.file("detections.csv"))]
        subprocess.run(command, check=True, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=sys.stderr)
    return out


def target_rows(found: RealSet, out: Path) -> list[dict[str, Any]]:
    """Of each test picture its row of ``truth.csv``, with the columns of ``predictions`` and of ``errors``."""
    media = read_table(str(out), "media", ["media_id", "file"])
    predictions = read_table(str(out), "predictions")
    errors = read_table(str(out), "errors")
    both = predictions.merge(media, on="media_id").merge(
        errors[[column for column in errors if column not in predictions or column == "target_id"]], on="target_id"
    )
    truth = found.truth()
    found_rows: list[dict[str, Any]] = [
        {str(name): cell for name, cell in row.items()} for row in both.to_dict("records")
    ]
    return [truth[row["file"]] | row for row in found_rows]


def count_outcomes(rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Counts of :data:`COUNTS` over the rows of :func:`target_rows`."""
    counts = dict.fromkeys(COUNTS, 0)
    for row in rows:
        true, called, suggested = row["individual_id"], row["predicted_id"], row.get("suggested_id")
        kind = "right" if called == true else "home" if called == row["home_of"] else "other"
        is_suggested = isinstance(suggested, str) and suggested != called
        explained = row["cause"] in _OUTSIDE
        found = {
            "n": True,
            "right": kind == "right",
            "by_animal": kind == "right" and row["is_shifted"] == "true",
            "home_right": kind == "right" and row["is_shifted"] != "true",
            "home_right_suggested": kind == "right" and row["is_shifted"] != "true" and is_suggested,
            "home_errors": kind == "home",
            "other_errors": kind == "other",
            "home_flagged": kind == "home" and row["is_flagged"],
            "flagged": row["is_flagged"],
            "home_masked": kind == "home" and row["is_masked"],
            "home_explained": kind == "home" and explained,
            "home_look_alike": kind == "home" and row["cause"] == "confusable_pair",
            "other_explained": kind == "other" and explained,
            "home_corrected": kind == "home" and row["final_id"] == true,
            "home_suggested": kind == "home" and is_suggested,
            "home_suggested_right": kind == "home" and suggested == true,
            "suggested": is_suggested,
            "suggested_right": is_suggested and suggested == true,
            "right_suggested": kind == "right" and is_suggested,
            "other_corrected": kind == "other" and row["final_id"] == true,
            "broken": kind == "right" and row["final_id"] != called,
        }
        for name, holds in found.items():
            counts[name] += bool(holds)
    return counts


def _add_sums(report: Report, args: argparse.Namespace) -> None:
    """The summary: each count over all seeds, by kind and boxes."""
    for kind in args.kind:
        for boxes in ("alone",) if args.alone else args.boxes:
            some = [row for row in report.rows if (row["kind"], row["boxes"]) == (kind, boxes)]
            some = [row for row in some if row.get("sure") in (None, ReclassifyConfig().min_alone)]
            suffix = {"yes": kind, "no": f"{kind}_no_boxes", "alone": f"{kind}_alone"}[boxes]
            report.summary |= {f"{name}_{suffix}": sum(row[name] for row in some) for name in COUNTS if some}

"""What the gradient of the naming pass shows on real animals in real places: flags and causes, without a mask.

``python -m benchmarks.real.evidence --work FOLDER --json FILE``. The sets and models are those of :mod:`benchmarks.real.run`.
Each set is audited with no budget for masks, so that nothing but the naming pass is judged: which errors triage flags, with
`evidence_outside` and with the probability alone at as many flags, and which cause the errors have. The control of a cause
is what was named by the animal: right names away from home, whose gradients must not lie outside it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import ROOT, Report, options
from benchmarks.real.run import target_rows
from benchmarks.real.sets import SETTINGS, RealSet, add_work, find_weights, make_set
from scd_core.audit.slices.statistics import wilson_interval
from scd_core.config import SliceConfig
from scd_core.names import Cause, FlagReason, GradientRegion

__all__ = ["count_evidence", "main"]

_NO_MASKS = "triage:\n  budget: 0\n  control_rate: 0\n"
_COLUMNS = (
    "home_errors", "errors", "flagged", "errors_flagged", "flagged_before", "errors_flagged_before", "errors_by_probability",
    "home_explained", "home_look_alike", "other_errors", "other_explained", "by_animal", "by_animal_outside",
)  # fmt: skip
_LIMITS = {
    GradientRegion.BOX: SliceConfig().min_gradient_outside,
    GradientRegion.WINDOW: SliceConfig().min_gradient_spread,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark; see the module."""
    parser = options(str(__doc__).splitlines()[0])
    parser.set_defaults(seed=[4, 5])
    add_work(parser)
    parser.add_argument("--kind", nargs="+", choices=("place", "thing"), default=["place"])
    args = parser.parse_args(arguments)
    report = Report("real_evidence", torch.device("cpu"))
    if find_weights() is None:
        report.notes["real"] = "left out: the weights are not here"
        return report.finish(args.json)
    for seed in args.seed[:1] if args.quick else args.seed:
        for kind in args.kind:
            found = make_set(args.work, kind, seed)
            for boxes in ("yes", "no"):
                counts = count_evidence(target_rows(found, _audited(found, use_boxes=boxes == "yes")))
                report.rows.append({"kind": kind, "boxes": boxes, "seed": seed} | counts)
                report.progress(f"{kind} {seed}, boxes {boxes}: {counts}")
    _summarise(report, args)
    report.notes["errors_by_probability"] = (
        "errors among as many pictures as are flagged, those of the lowest probability"
    )
    report.notes["by_animal_outside"] = (
        "right names away from home whose gradient is where it makes the background a cause"
    )
    report.show(("kind", "boxes", "seed", *_COLUMNS), "the gradient on real animals in real places")
    report.finish(args.json)


def _audited(found: RealSet, *, use_boxes: bool) -> Path:
    """OUT of an audit of the set without masks; an OUT that is there is taken as it is."""
    out = found.folder / ("names_boxes" if use_boxes else "names")
    if not (out / "report").is_dir():
        config = found.folder / "names.yaml"
        config.write_text(SETTINGS + _NO_MASKS)
        command = [sys.executable, "-m", "deployments.cli", "run", str(found.pictures), "--model", str(found.model)]
        command += [
            "--out",
            str(out),
            "--labels",
            str(found.file("labels.csv")),
            "--config",
            str(config),
            "--runner",
            "threads",
        ]
        if use_boxes:
            command += ["--detections", str(found.file("detections.csv"))]
        subprocess.run(command, check=True, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=sys.stderr)
    return out


def count_evidence(rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Counts over the rows of :func:`benchmarks.real.run.target_rows`.

    `flagged_before`: without the reason `evidence_outside`. `explained`: cause background, overlay or place.
    """
    errors = [row for row in rows if row["predicted_id"] != row["individual_id"]]
    home = [row for row in errors if row["predicted_id"] == row["home_of"]]
    other = [row for row in errors if row["predicted_id"] != row["home_of"]]
    animal = [row for row in rows if row["predicted_id"] == row["individual_id"] and row["is_shifted"] == "true"]
    flagged = [row for row in rows if row["is_flagged"]]
    before = [row for row in rows if _reasons(row) - {FlagReason.EVIDENCE_OUTSIDE}]
    unsure = sorted(rows, key=lambda row: row["probability"])[: len(flagged)]

    def wrong(some: Sequence[Mapping[str, Any]]) -> int:
        return sum(row["predicted_id"] != row["individual_id"] for row in some)

    def of(some: Sequence[Mapping[str, Any]], *causes: Cause) -> int:
        return sum(row["cause"] in causes for row in some)

    outside = (Cause.BACKGROUND, Cause.OVERLAY, Cause.PLACE)
    return {
        "home_errors": len(home),
        "errors": len(errors),
        "flagged": len(flagged),
        "errors_flagged": wrong(flagged),
        "flagged_before": len(before),
        "errors_flagged_before": wrong(before),
        "errors_by_probability": wrong(unsure),
        "home_explained": of(home, *outside),
        "home_look_alike": of(home, Cause.CONFUSABLE_PAIR),
        "other_errors": len(other),
        "other_explained": of(other, *outside),
        "by_animal": len(animal),
        "by_animal_outside": sum(row["gradient_outside"] >= _LIMITS.get(row["gradient_region"], 2) for row in animal),
    }


def _reasons(row: Mapping[str, Any]) -> set[str]:
    # Without a budget every flagged row has this one as well.
    return set(row["flag_reasons"]) - {FlagReason.CUT_BY_BUDGET}


def _summarise(report: Report, args: Namespace) -> None:
    """Sums over the seeds, and shares with Wilson's 95 % intervals."""
    for kind in args.kind:
        for boxes in ("yes", "no"):
            some = [row for row in report.rows if (row["kind"], row["boxes"]) == (kind, boxes)]
            end = kind if boxes == "yes" else f"{kind}_no_boxes"
            total = {name: sum(row[name] for row in some) for name in _COLUMNS}
            report.summary |= {f"{name}_{end}": count for name, count in total.items()}
            for name, of in (
                ("home_explained", "home_errors"), ("home_look_alike", "home_errors"), ("by_animal_outside", "by_animal"),
                ("errors_flagged", "errors"), ("errors_by_probability", "errors"),
            ):  # fmt: skip
                low, high = wilson_interval(total[name] / max(1, total[of]), total[of])
                report.summary |= {f"{name}_{end}_low": float(low), f"{name}_{end}_high": float(high)}


if __name__ == "__main__":
    main()

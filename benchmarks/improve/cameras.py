"""Whether `trapaudit improve --adapt` recommends adapting a camera where it helps, and not where it harms: real cats and animals.

``python -m benchmarks.improve.cameras --json FILE``. Each camera has pictures that the network is adapted to, controls of other
photographs that judge it, and labels of other cameras. ``place``: the model that learnt cats with their places, on whole frames.
``clean``, ``infrared`` and ``fog``: the model trained on crops; a camera as it is, dark grey and noisy, or pale and unsharp.
``animals``: ImageNet's network on groups of ImageNet's animals, the same three. Draws of 20 and 40 controls from a camera's own
(with replacement) show how often adapting is recommended where, on all its controls, it harms. Seeds 1 and 3 are for choosing.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from torch import Tensor

from benchmarks.common import DATA, Report
from benchmarks.improve.sets import ImproveSet, make_improve_set
from benchmarks.improve.start import begun, seeds_of, set_options
from benchmarks.real.sets import ARCHITECTURE, TOOL, find_weights
from scd_core.boxes import Box
from scd_core.identify import load_model, pack_model
from scd_core.identify.class_means import fit_class_means
from scd_core.identify.classifier import Classifier
from scd_core.identify.pictures import crop_to_box
from scd_core.improve.adapting import Anchors, adapt
from scd_core.improve.cameras import Judged, judge_camera, last_layer, run_network
from scd_core.improve.disagreement import expected_right

__all__ = ["main"]

FAULTS = ("clean", "infrared", "fog")
N_PICTURES = 48
_N_FAULTY = 2
"""Cameras of each seed that are shown with a fault, and without one."""
_DRAWN = (20, 40)
_N_DRAWS = 200
_COPIES = {"pictures": 10, "controls": 8}
_ANIMALS = 2
"""Partings of ImageNet's animals."""
GROUPS: dict[str, tuple[tuple[int, int], ...]] = {
    "fish": ((0, 6), (389, 397)), "bird": ((7, 24), (80, 100), (127, 146)), "reptile": ((25, 68),),
    "arthropod": ((69, 79), (300, 326)), "invertebrate": ((107, 126), (327, 329)), "dog": ((151, 268),),
    "carnivore": ((269, 299),), "mammal": ((101, 106), (147, 150), (330, 388)),
}  # fmt: skip
"""Name -> first and last classes of ImageNet."""


@dataclass(frozen=True)
class Seen:
    """A picture: file, name, camera, photograph, box of the animal."""

    path: Path
    name: str
    camera: str
    photograph: str
    box: Box | None


@dataclass(frozen=True)
class Camera:
    """What adapting did to one camera's controls."""

    kind: str
    seed: int
    camera: str
    before: NDArray[np.bool_]
    after: NDArray[np.bool_]
    photograph: NDArray[np.int64]
    individual: NDArray[np.int64]
    expected: tuple[float, float]

    def judged(self, n_cameras: int, rows: NDArray[np.int64] | None = None) -> Judged:
        """By some of its controls, each drawn one as a visit of its own; None: by all."""
        if rows is None:
            return judge_camera(self.before, self.after, self.photograph, self.individual, n_cameras)
        visits = np.arange(len(rows))
        return judge_camera(self.before[rows], self.after[rows], visits, self.individual[rows], n_cameras)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark; see the module."""
    parser = set_options(__doc__, [2, 4])
    args = parser.parse_args(arguments)
    report = begun("improve_cameras", args)
    if report is None:
        return None
    tables: list[list[Camera]] = []
    for seed in seeds_of(args):
        tables += _cats(make_improve_set(args.work, seed), seed, report, n_cameras=2 if args.quick else None)
    tables += _animals(args.work, 1 if args.quick else _ANIMALS, report)
    for table in tables:
        report.rows += [_row(one, len(table)) for one in table]
    _draw(tables, report)
    report.finish(args.json)


def _row(one: Camera, n_cameras: int) -> dict[str, Any]:
    judged = one.judged(n_cameras)
    gain = judged.gain
    return {
        "kind": one.kind, "seed": one.seed, "camera": one.camera, "n": judged.before.n,
        "before": judged.before.value, "before_low": judged.before.low, "before_high": judged.before.high,
        "after": judged.after.value, "after_low": judged.after.low, "after_high": judged.after.high,
        "won": gain.n_won, "lost": gain.n_lost, "gain": gain.value, "gain_low": gain.low, "gain_high": gain.high,
        "recommended": judged.is_recommended, "expected_before": one.expected[0], "expected_after": one.expected[1],
    }  # fmt: skip


def _draw(tables: list[list[Camera]], report: Report) -> None:
    """How often drawn controls recommend adapting, and how often that harms: no gain over all that they are drawn from."""
    rng = np.random.default_rng(0)
    for n in _DRAWN:
        counts: dict[str, list[int]] = {}
        for table in tables:
            for one in table:
                truth = float(one.after.mean() - one.before.mean())  # frames are drawn, each as a visit of its own
                found = counts.setdefault(one.kind, [0, 0, 0])
                for _ in range(_N_DRAWS):
                    rows = rng.integers(0, len(one.before), n)
                    is_recommended = one.judged(len(table), rows).is_recommended
                    found[0] += 1
                    found[1] += is_recommended
                    found[2] += is_recommended and truth <= 0
        for kind, (n_all, n_recommended, n_harm) in counts.items():
            report.summary |= {f"{kind}_{n}_drawn": n_all, f"{kind}_{n}_recommended": n_recommended}
            report.summary[f"{kind}_{n}_harm"] = n_harm
        total = np.array(list(counts.values())).sum(0)
        report.summary |= {f"all_{n}_recommended": int(total[1]), f"all_{n}_harm": int(total[2])}


def _cats(found: ImproveSet, seed: int, report: Report, n_cameras: int | None) -> list[list[Camera]]:
    """A table of cameras by kind."""
    with (found.folder / "labels.csv").open(newline="") as handle:
        learnt = [
            Seen(found.source / row["file"], row["individual_id"], row["file"].split("/")[0], row["file"], _box(row))
            for row in csv.DictReader(handle)
        ]
    pictures, controls = (_composed(found, part, seed) for part in ("pictures", "controls"))
    cameras = sorted({one.camera for one in controls})[:n_cameras]
    tables = []
    for kind in ("place", *FAULTS):
        is_crop = kind != "place"
        classifier = load_model(str(found.retrained if is_crop else found.biased.model))
        features = run_network(classifier.model, _inputs(classifier, learnt, is_crop), classifier)[1]
        table = []
        for number, camera in enumerate(cameras[:_N_FAULTY] if is_crop else cameras):
            elsewhere = [place for place, one in enumerate(learnt) if one.camera != camera]
            shown, judged = ([one for one in part if one.camera == camera] for part in (pictures, controls))
            order = np.random.default_rng([seed, number]).permutation(len(shown))[:N_PICTURES]
            table.append(
                _try(
                    classifier,
                    (features[elsewhere], [learnt[place].name for place in elsewhere]),
                    (_inputs(classifier, [shown[place] for place in order], is_crop, kind), judged),
                    _inputs(classifier, judged, is_crop, kind),
                    (kind, seed, camera),
                )
            )
            report.progress(str(_row(table[-1], len(cameras))))
        tables.append(table)
    return tables


def _animals(work: Path, n_partings: int, report: Report) -> list[list[Camera]]:
    """ImageNet's animals in groups: half of them labelled, a quarter to adapt to, a quarter to judge."""
    labels = ["other"] * 1000
    for name, ranges in GROUPS.items():
        for first, last in ranges:
            labels[first : last + 1] = [name] * (last + 1 - first)
    index = json.loads((DATA / "imagenet_animals" / "imagenet_index.json").read_text())
    group_of = {wnid: labels[int(number)] for number, (wnid, _) in index.items()}
    model = work / "animals"
    weights = find_weights()
    assert weights is not None
    if not (model / "model.json").is_file():
        pack_model(model, architecture=ARCHITECTURE, weights=weights, labels=labels)
    classifier = load_model(str(model))
    files = sorted((DATA / "imagenet_animals").glob("*.JPEG"))
    seen = [Seen(file, group_of[file.name.split("_")[0]], "", file.name, None) for file in files]
    tables = []
    for parting in range(n_partings):
        order = np.random.default_rng(parting).permutation(len(seen)).tolist()
        learnt, shown, judged = ([seen[place] for place in order[part]] for part in _quarters(len(seen)))
        features = run_network(classifier.model, _inputs(classifier, learnt, is_crop=False), classifier)[1]
        table = []
        for kind in FAULTS:
            table.append(
                _try(
                    classifier,
                    (features, [one.name for one in learnt]),
                    (_inputs(classifier, shown, is_crop=False, kind=kind), judged),
                    _inputs(classifier, judged, is_crop=False, kind=kind),
                    (f"animals_{kind}", parting, kind),
                )
            )
            report.progress(str(_row(table[-1], len(FAULTS))))
        tables.append(table)
    return tables


def _quarters(n: int) -> tuple[slice, slice, slice]:
    return slice(0, n // 2), slice(n // 2, 3 * n // 4), slice(3 * n // 4, n)


def _try(
    classifier: Classifier,
    learnt: tuple[Tensor, list[str]],
    shown: tuple[Tensor, list[Seen]],
    given: Tensor,
    key: tuple[str, int, str],
) -> Camera:
    """Adapt to one camera's pictures, and name its controls before and after."""
    place = {name: number for number, name in enumerate(classifier.names)}
    features, names = learnt
    truth = np.array([place[name] for name in names], dtype=np.int64)
    inputs, judged = shown
    network = adapt(classifier, inputs, Anchors.of(fit_class_means(features.numpy(), truth, len(place))))
    own = np.array([place[one.name] for one in judged], dtype=np.int64)
    right, expected = [], []
    for model in (classifier.model, network):
        called = classifier.probabilities(run_network(model, given, classifier)[0]).argmax(1).numpy()
        right.append(called == own)
        expected.append(expected_right(classifier, run_network(model, inputs, classifier)[1], last_layer(model)))
    photograph = np.unique([one.photograph for one in judged], return_inverse=True)[1].astype(np.int64)
    return Camera(*key, right[0], right[1], photograph, own, (expected[0], expected[1]))


def _inputs(classifier: Classifier, seen: Sequence[Seen], is_crop: bool, kind: str = "clean") -> Tensor:
    """(N, 3, H, W), each with the camera's fault."""
    rng = np.random.default_rng(0)
    found = []
    for one in seen:
        with Image.open(one.path) as opened:
            picture = crop_to_box(opened.convert("RGB"), one.box if is_crop else None)
        found.append(classifier.preprocess(_faulty(picture, kind, rng)))
    return torch.stack(found)


def _faulty(picture: Image.Image, kind: str, rng: np.random.Generator) -> Image.Image:
    """The picture as a camera with a fault gives it; as it is for other kinds."""
    if kind == "infrared":
        grey = np.asarray(picture.convert("L"), dtype=np.float64)
        grey = 30 + 0.35 * grey + rng.normal(0, 14, grey.shape)
        return Image.fromarray(grey.clip(0, 255).astype(np.uint8)).convert("RGB")
    if kind == "fog":
        pale = 0.35 * np.asarray(picture, dtype=np.float64) + 0.65 * 215
        return Image.fromarray(pale.clip(0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(1))
    return picture


def _composed(found: ImproveSet, part: str, seed: int) -> list[Seen]:
    """Photographs that no model of the set learnt, each several times in places, half of the time in the cat's own."""
    with (DATA / "cats" / "split.csv").open(newline="") as handle:
        rows = [row for row in csv.DictReader(handle) if row["split"] == "test"]
    if part == "pictures":
        with (found.folder / "cats_labelled" / "split.csv").open(newline="") as handle:
            rows = [row for row in csv.DictReader(handle) if row["split"] == "train"]
    folder, cats = found.folder / f"camera_{part}", found.folder / f"cats_{part}"
    if not (folder / "train.csv").is_file():
        cats.mkdir(parents=True, exist_ok=True)
        with (cats / "split.csv").open("w", newline="") as handle:
            writer = csv.DictWriter(handle, rows[0], lineterminator="\n")
            writer.writeheader()
            writer.writerows(
                row | {"file": str((DATA / "cats" / row["file"]).resolve()), "split": "train"} for row in rows
            )
        command = [sys.executable, str(TOOL), str(folder), "--cats", str(cats), "--kind", "place", "--bias", "0.5"]
        command += ["--seed", str(seed), "--copies", str(_COPIES[part])]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    with (folder / "train.csv").open(newline="") as handle:
        return [
            Seen(
                folder / "train" / row["file"], row["individual_id"], row["place"], row["file"].split("_")[0], _box(row)
            )
            for row in csv.DictReader(handle)
        ]


def _box(row: dict[str, str]) -> Box:
    x, y, width, height = (float(row[name]) for name in ("x_min", "y_min", "width", "height"))
    return x, y, width, height


if __name__ == "__main__":
    main()

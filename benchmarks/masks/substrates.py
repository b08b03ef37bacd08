"""Maps compared on several substrates, on pictures that no setting of the masks was chosen on, all methods in one run.

``python -m benchmarks.masks.substrates --json FILE --work FOLDER``. A map that is fitted on a blurred picture may win only
where what is removed is blurred too. So pixels are removed in the order of each map in three ways: blurred, in the
picture's mean colour, and as ROAD does (a noisy imputation from what is around). For cats in camera-trap places there is a
fourth: the empty place, the median of up to twelve frames of the same camera. Pictures: ImageNet's animals that
:mod:`benchmarks.masks` does not take, and a set ``place`` of :mod:`benchmarks.real`. Methods: the default, fits on other
substrates, the comparators of :mod:`scd_core.masks`, RISE, and those of captum and pytorch-grad-cam where they are installed.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from benchmarks.common import DATA, Report, options
from benchmarks.masks.data import load_mobilenet, to_mobilenet
from benchmarks.masks.methods import METHODS
from benchmarks.masks.others import RULES, Explain, find_methods
from benchmarks.real.sets import add_work, make_set
from scd_core.identify import load_model
from scd_core.masks.metrics import deletion_insertion, road

__all__ = ["COLUMNS", "MEASURES", "compare_methods", "empty_places", "main", "measure"]

MEASURES = {
    "deletion_blur": -1,
    "insertion_blur": 1,
    "deletion_mean": -1,
    "insertion_mean": 1,
    "road": 1,
}
"""Measure -> 1 where more is better, -1 where less is."""

PLACE_MEASURES = {"deletion_place": -1, "insertion_place": 1}
"""Those that need the empty place; cats only."""

COLUMNS = ("method", "pictures", *MEASURES, *PLACE_MEASURES, "default_better", "seconds_per_picture")

PORTIONS = 10
SHARE = 0.5
"""Of the pixels, which ROAD removes; its imputation takes most of the run."""
_FRAMES = 12
_TIMES = 1.96


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark; see the module."""
    parser = options(str(__doc__).splitlines()[0])
    parser.set_defaults(seed=[8])
    add_work(parser)
    parser.add_argument("--pictures", type=int, default=4, help="of each kind: ImageNet's animals, cats in places")
    chosen = parser.parse_args(arguments)
    report = Report("mask_substrates", torch.device("cpu"))
    model = load_mobilenet(torch.device("cpu"))
    if model is None or not (DATA / "imagenet_animals").is_dir():
        report.notes["left_out"] = "the photographs or the weights are not here"
        return report.finish(chosen.json)
    count = 1 if chosen.quick else chosen.pictures
    groups = [(model, *_animals(model, count), None), _cats(chosen, count)]
    report.notes |= {
        "pictures": f"{count} of ImageNet's animals, {count} cats away from home in place {chosen.seed[0]}",
        "default_better": "of the five measures, those whose mean is better for the default than for this method",
        "error": f"half of the 95 % interval of a mean over the pictures, {_TIMES} standard errors",
    }
    found: dict[str, dict[str, list[float]]] = {}
    for name, explain in (RULES | _repository_methods() | find_methods()).items():
        found[name] = measure(explain, groups)
        report.rows = compare_methods(found)
        others = [row for row in report.rows if row["method"] not in _OURS]
        report.summary = {
            "pictures": len(found[name]["seconds"]),
            "comparators": len(others),
            "beaten_on_four_of_five": sum(row["default_better"] >= 4 for row in others),
        }
        report.progress(f"{name}: {found[name]['seconds'][0]:.2f} s for the first picture")
        if chosen.json is not None:  # after each method: a run of an hour may be ended
            chosen.json.write_text(json.dumps(report.as_json(), indent=1) + "\n")
    report.show(COLUMNS, "maps on several substrates")
    report.finish(chosen.json)


_OURS = ("default", "fitted_on_mean", "fitted_on_both", "chance")


def measure(
    explain: Explain, groups: Sequence[tuple[nn.Module, Tensor, Tensor, Tensor | None]]
) -> dict[str, list[float]]:
    """Each measure and the processor seconds, a value per picture.

    Args:
        explain: the method.
        groups: network, images (N, 3, H, W), targets (N,), and the empty places (N, 3, H, W) or None.
    """
    values: dict[str, list[float]] = {name: [] for name in (*MEASURES, *PLACE_MEASURES, "seconds")}
    for model, images, targets, places in groups:
        for number in range(len(images)):
            image, target = images[number : number + 1], targets[number : number + 1]
            began = time.process_time()
            maps = explain(model, image, target, torch.tensor([number])).detach().float()
            values["seconds"].append(time.process_time() - began)
            substrates: dict[str, Any] = {"blur": "blur", "mean": "mean"}
            if places is not None:
                substrates["place"] = places[number : number + 1]
            for name, substrate in substrates.items():
                curves = deletion_insertion(model, image, target, maps, substrate=substrate, steps=PORTIONS)
                values[f"deletion_{name}"].append(float(curves.deletion))
                values[f"insertion_{name}"].append(float(curves.insertion))
            values["road"].append(float(road(model, image, target, maps, shares=(SHARE,)).score))
    return values


def compare_methods(found: Mapping[str, Mapping[str, Sequence[float]]]) -> list[dict[str, Any]]:
    """A row per method: the mean of each measure, half of its interval, and on how many of the five the default is better.

    Args:
        found: method -> what :func:`measure` gives; ``default`` is one of them.
    """
    means = {name: {key: _mean(some) for key, some in values.items() if some} for name, values in found.items()}
    rows = []
    for name, values in found.items():
        row: dict[str, Any] = {"method": name, "pictures": len(values["seconds"])}
        for key in (*MEASURES, *PLACE_MEASURES):
            if values[key]:
                row |= {key: means[name][key], f"{key}_error": _half_interval(values[key])}
        row["default_better"] = sum(
            sign * (means["default"][key] - means[name][key]) > 0 for key, sign in MEASURES.items()
        )
        row["seconds_per_picture"] = means[name]["seconds"]
        rows.append(row)
    return rows


def empty_places(images: Tensor, places: Sequence[str]) -> Tensor:
    """(N, 3, H, W): of each image the median of up to twelve images of its place."""
    found = {}
    for place in set(places):
        own = [number for number, one in enumerate(places) if one == place][:_FRAMES]
        found[place] = images[own].median(0).values
    return torch.stack([found[place] for place in places])


def _repository_methods() -> dict[str, Explain]:
    names = ("grad_cam", "norm_grad", "norm_grad_selective", "cf_cam", "cf_cam_linear")

    def joint(name: str) -> Explain:
        return lambda model, images, targets, seeds: METHODS[name](model, images, targets, seeds).joint

    return {name: joint(name) for name in names}


def _animals(model: nn.Module, count: int) -> tuple[Tensor, Tensor]:
    """ImageNet's animals that are named rightly, none of those of :func:`benchmarks.masks.data.animal_frames`."""
    folder = DATA / "imagenet_animals"
    index = json.loads((folder / "imagenet_index.json").read_text())
    classes = {wnid: int(number) for number, (wnid, _) in index.items()}
    files = sorted(folder.glob("*.JPEG"))
    images, targets = [], []
    for path in files[6 :: 2 * max(1, len(files) // 16)]:  # half way between those, which are every twelfth
        with Image.open(path) as picture:
            image = to_mobilenet(picture.convert("RGB"))
        with torch.no_grad():
            name = int(model(image[None]).argmax())
        if name == classes.get(path.name.split("_")[0]):
            images.append(image)
            targets.append(name)
        if len(images) == count:
            break
    return torch.stack(images), torch.tensor(targets)


def _cats(chosen: argparse.Namespace, count: int) -> tuple[nn.Module, Tensor, Tensor, Tensor]:
    """Cats away from home, half of them named after the place as far as there are any, with their empty places."""
    found = make_set(chosen.work, "place", chosen.seed[0])
    classifier = load_model(str(found.model))
    truth = found.truth()
    tensors = []
    for file in truth:
        with Image.open(found.pictures / file) as picture:
            tensors.append(classifier.preprocess(picture.convert("RGB")))
    images = torch.stack(tensors)
    names = classifier.logits(images).argmax(1)
    away = [number for number, row in enumerate(truth.values()) if row["is_shifted"] == "true"]
    rows = list(truth.values())
    lured = [number for number in away if classifier.names[int(names[number])] == rows[number]["home_of"]]
    right = [number for number in away if classifier.names[int(names[number])] == rows[number]["individual_id"]]
    lured, right = (_spread(some, -(-count // 2)) for some in (lured, right))
    own = (lured + right)[:count]
    places = empty_places(images, [row["place"] for row in rows])
    return classifier.model, images[own], names[own].clone(), places[own]


def _spread(numbers: Sequence[int], count: int) -> list[int]:
    """Some of the numbers, evenly drawn."""
    return list(numbers[:: max(1, len(numbers) // count)])[:count]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _half_interval(values: Sequence[float]) -> float:
    mean = _mean(values)
    spread = sum((value - mean) ** 2 for value in values) / max(1, len(values) - 1)
    return _TIMES * math.sqrt(spread / len(values))


if __name__ == "__main__":
    main()

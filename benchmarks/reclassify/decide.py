"""Re-classification under masks: errors recovered and right names broken, per strategy, on scenes and real jaguars.

``python -m benchmarks.reclassify --json FILE``. On scenes the model is the packaged one that learnt the planted
shortcuts; recovered counts its shortcut errors, broken its right names, both drawn from whole bursts of fresh seeds,
once with the animals' boxes known, once without, and once with each box as a picture of its own. On the real jaguar
frames every name but ``jaguar`` is wrong. On other photographs, most of them named rightly, the decision may break
nothing. Two small vision transformers show what masking does before backgrounds that a network never saw.
"""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Sequence
from statistics import fmean
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.common import DATA, Report, options, resolve_device
from benchmarks.reclassify import vit as reclassify_vit
from benchmarks.reclassify.cases import Case, box_pictures, imagenet_model, jaguar_cases, photograph, scene_cases
from scd_core.config import ReclassifyConfig
from scd_core.identify import Classifier, load_model
from scd_core.masks import fit_masks
from scd_core.masks.settings import SCDConfig
from scd_core.names import Strategy
from scd_core.reclassify import MaskedPicture, Outcome, reclassify
from scd_core.reclassify.core import Again
from scd_core.scenes import packaged_model

__all__ = ["COLUMNS", "VIT_COLUMNS", "joint_maps", "main", "masked_pictures", "other_maps", "outcomes_of"]

STRATEGIES = tuple(strategy for strategy in Strategy if strategy != Strategy.FUSED)
PARTS = "scenes", "photographs", "vit"
FUSED, CONTROL = Strategy.FUSED, Strategy.CENTER_CROP
COLUMNS = ("pictures", "strategy", "n_errors", "recovered", "n_right", "broken")
VIT_COLUMNS = ("pool", "trained", "shown", "n", "accuracy_known", "accuracy_new")
_PHOTOGRAPHS_OF_A_SEED = 8


def joint_maps(
    classifier: Classifier, cases: Sequence[Case], seed: int = 0, config: SCDConfig | None = None
) -> list[NDArray[np.float32]]:
    """Joint map of each picture for the name it was given; `seed` is that of the masks' noise."""
    maps: list[NDArray[np.float32]] = []
    for start in range(0, len(cases), 16):
        some = cases[start : start + 16]
        images = torch.stack([classifier.preprocess(case.picture) for case in some])
        targets = classifier.best_class(classifier.logits(images), [case.predicted_id for case in some])
        seeds = torch.arange(start, start + len(some)) + 1_000_003 * seed
        masks = fit_masks(classifier.model, images.to(classifier.device), targets, config or SCDConfig(), seeds)
        maps += [joint.float().cpu().numpy() for joint in masks.joint]
    return maps


def other_maps(
    classifier: Classifier, cases: Sequence[Case], seed: int, known: dict[tuple[int, int], Any] | None = None
) -> Again:
    """What fits further masks of pictures, with noise that no first mask has; `known` keeps them by noise and place."""
    held = {} if known is None else known

    def again(places: Sequence[int], noise: int) -> dict[int, NDArray[np.float32]]:
        missing = [place for place in places if (noise, place) not in held]
        maps = joint_maps(classifier, [cases[place] for place in missing], 50_000 * noise + seed)
        held.update(zip([(noise, place) for place in missing], maps, strict=True))
        return {place: held[noise, place] for place in places}

    return again


def masked_pictures(
    classifier: Classifier, cases: Sequence[Case], maps: Sequence[NDArray[np.float32]], *, use_boxes: bool
) -> list[MaskedPicture]:
    """Pictures with their masks, and with the animals' boxes where these are used."""
    spec = classifier.spec.input
    return [
        MaskedPicture(case.picture, joint, spec, box=case.box if use_boxes else None, is_box=case.is_box)
        for case, joint in zip(cases, maps, strict=True)
    ]


def outcomes_of(
    classifier: Classifier,
    cases: Sequence[Case],
    maps: Sequence[NDArray[np.float32]],
    *,
    use_boxes: bool,
    again: Again | None = None,
) -> list[list[Outcome]]:
    """Classify pictures again under their masks by every strategy; without `again` the first mask decides alone."""
    pictures = masked_pictures(classifier, cases, maps, use_boxes=use_boxes)
    return reclassify(classifier, pictures, ReclassifyConfig(strategies=STRATEGIES), again=again)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark; see the module."""
    parser = options(str(__doc__).splitlines()[0])
    parser.add_argument("--events", type=int, default=80, help="bursts of scenes per seed")
    parser.add_argument("--part", nargs="+", choices=PARTS, default=PARTS, help="what to run")
    args = parser.parse_args(arguments)
    report = Report("reclassify", resolve_device(args.device))
    seeds = args.seed[:1] if args.quick else args.seed
    if "scenes" in args.part:
        _scenes(report, seeds, 40 if args.quick else args.events)
    if "photographs" in args.part:
        _photographs(report, seeds, is_quick=args.quick)
    if "vit" in args.part:
        _vit(report, args)
    for columns, title, key in ((COLUMNS, "recovered and broken", "strategy"), (VIT_COLUMNS, "transformers", "pool")):
        if rows := [row for row in report.rows if key in row]:
            report.show(columns, title, rows)
    report.finish(args.json)


def _scenes(report: Report, seeds: Sequence[int], n_events: int) -> None:
    classifier = load_model(str(packaged_model("shortcut")), str(report.device))
    cases: list[Case] = []
    maps: list[NDArray[np.float32]] = []
    for seed in seeds:
        drawn = scene_cases(classifier, n_events, 1000 + seed)
        cases, maps = cases + drawn, maps + joint_maps(classifier, drawn, seed)
        report.progress(f"masks of {len(drawn)} scenes, seed {1000 + seed}")
    report.notes["scenes"] = (
        f"world demo, model shortcut, {n_events} bursts of each seed {', '.join(str(1000 + seed) for seed in seeds)}; "
        "boxes are the animals' true ones, as a detector would give"
    )
    known: dict[tuple[int, int], Any] = {}
    for use_boxes, name, suffix in ((True, "scenes", ""), (False, "scenes, no boxes", "_no_boxes")):
        fused = _tallies(report, classifier, name, cases, maps, seeds[0], use_boxes=use_boxes, known=known)
        report.summary |= {f"{key}{suffix}": fused[key] for key in ("recovered_rate", "broken_rate")}
        report.progress(f"{name}: {len(cases)} frames")
    boxed = box_pictures(classifier, cases)
    maps = joint_maps(classifier, boxed, seeds[0])
    fused = _tallies(report, classifier, "scenes, boxes as pictures", boxed, maps, seeds[0])
    report.summary |= {f"{key}_box_pictures": fused[key] for key in ("recovered_rate", "broken_rate")}
    report.progress(
        f"scenes, boxes as pictures: {len(boxed)}, of them {sum(case.kind == 'right' for case in boxed)} named rightly"
    )


def _tallies(
    report: Report,
    classifier: Classifier,
    name: str,
    cases: Sequence[Case],
    maps: Sequence[NDArray[np.float32]],
    seed: int,
    *,
    use_boxes: bool = False,
    known: dict[tuple[int, int], Any] | None = None,
) -> dict[str, Any]:
    """Rows of shortcut errors and of others; the decision's over shortcut errors is returned."""
    again = other_maps(classifier, cases, seed, known)
    outcomes = outcomes_of(classifier, cases, maps, use_boxes=use_boxes, again=again)
    fused = _tally(report, classifier, name, cases, outcomes, "shortcut")
    _tally(report, classifier, f"{name}, other errors", cases, outcomes, "other")
    return fused


def _photographs(report: Report, seeds: Sequence[int], *, is_quick: bool) -> None:
    keys = ("jaguar_right_before", "jaguar_right_after", "jaguar_right_control", "jaguar_right_mask_crop")
    loaded = imagenet_model(report.device)
    if loaded is None:
        report.notes["jaguar"] = "left out: the photographs or the weights are not here"
        more = ("after_least", "after_boxes", "before_box_pictures", "after_box_pictures")
        report.summary |= dict.fromkeys((*keys, *(f"jaguar_right_{key}" for key in more)))
        return
    classifier, names = loaded
    cases = jaguar_cases(classifier)
    boxed = box_pictures(classifier, cases)
    boxed_right: list[int] = []
    right: dict[tuple[bool, str], list[int]] = {}
    drawn: dict[bool, list[list[Outcome]]] = {True: [], False: []}
    for seed in seeds:
        maps = joint_maps(classifier, cases, seed)
        again = other_maps(classifier, cases, seed)
        for use_boxes, outcomes in drawn.items():
            some = outcomes_of(classifier, cases, maps, use_boxes=use_boxes, again=again)
            outcomes += some
            for number, place in enumerate(some[0]):
                count = sum(_given(row[number], classifier) == "jaguar" for row in some)
                right.setdefault((use_boxes, place.strategy), []).append(count)
        again = other_maps(classifier, boxed, seed)
        some = outcomes_of(classifier, boxed, joint_maps(classifier, boxed, seed), use_boxes=False, again=again)
        boxed_right.append(sum(_given(row[-1], classifier) == "jaguar" for row in some))
        report.progress(f"jaguar: {len(cases)} frames, seed {seed}")
    for use_boxes, outcomes in drawn.items():
        name = "jaguar" if use_boxes is False else "jaguar, boxes"
        _tally(report, classifier, name, cases * len(seeds), outcomes, "other")
    before = sum(case.kind == "right" for case in cases)
    means = (fmean(right[False, strategy]) for strategy in (FUSED, CONTROL, Strategy.MASK_CROP))
    report.summary |= dict(zip(keys, (before, *means), strict=True))
    report.summary["jaguar_right_after_least"] = min(right[False, FUSED])
    report.summary["jaguar_right_after_boxes"] = fmean(right[True, FUSED])
    report.summary["jaguar_right_before_box_pictures"] = sum(case.kind == "right" for case in boxed)
    report.summary["jaguar_right_after_box_pictures"] = fmean(boxed_right)
    report.notes["jaguar"] = (
        f"torchvision mobilenet_v2, {len(cases)} frames, no boxes given; means of {len(seeds)} run(s) whose masks differ "
        f"in their noise; after, run by run: {', '.join(map(str, right[False, FUSED]))}"
    )
    if not is_quick:
        _animals(report, classifier, names, len(seeds))


def _animals(report: Report, classifier: Classifier, names: dict[str, str], n_seeds: int) -> None:
    """ImageNet's animals, which mostly fill the picture and are mostly named rightly."""
    # The other half of these photographs has chosen the decision's settings.
    paths = sorted((DATA / "imagenet_animals").glob("*.JPEG"))[0::2]
    chosen = paths[:: max(1, len(paths) // (n_seeds * _PHOTOGRAPHS_OF_A_SEED))]
    cases = [photograph(classifier, path, names[path.name.split("_")[0]]) for path in chosen]
    again = other_maps(classifier, cases, 1)
    outcomes = outcomes_of(classifier, cases, joint_maps(classifier, cases, 1), use_boxes=False, again=again)
    fused = _tally(report, classifier, "imagenet animals", cases, outcomes, "other")
    report.summary["animals_recovered_rate"], report.summary["animals_broken_rate"] = (
        fused["recovered_rate"],
        fused["broken_rate"],
    )
    report.progress(f"imagenet animals: {len(cases)} photographs")


def _vit(report: Report, args: argparse.Namespace) -> None:
    if args.quick or importlib.util.find_spec("timm") is None:
        report.notes["vit"] = "left out: with --quick" if args.quick else "left out: timm is not installed"
        return
    worlds = args.seed[: reclassify_vit.N_SEEDS]
    found = [reclassify_vit.compare(reclassify_vit.Settings(), seed, report.progress) for seed in worlds]
    for same in zip(*found, strict=True):
        shares = {key: fmean(row[key] for row in same) for key in ("accuracy_known", "accuracy_new")}
        report.rows.append(same[0] | {"n": sum(row["n"] for row in same)} | shares)
        if same[0]["trained"] == same[0]["shown"]:
            report.summary[f"vit_{same[0]['pool']}_{same[0]['shown']}_new"] = shares["accuracy_new"]
    report.notes["vit"] = f"means of worlds {', '.join(map(str, worlds))}; masks are the animals' true outlines"


def _tally(
    report: Report,
    classifier: Classifier,
    pictures: str,
    cases: Sequence[Case],
    outcomes: Sequence[Sequence[Outcome]],
    error_kind: str,
) -> dict[str, Any]:
    """One row per strategy: errors of a kind that it recovers, right names that it breaks; the decision's is returned."""
    row: dict[str, Any] = {}
    for number, strategy in enumerate((*STRATEGIES, FUSED)):
        given = [(case, _given(row[number], classifier)) for case, row in zip(cases, outcomes, strict=True)]
        applied = [(case, name) for case, name in given if name is not None]
        errors = [name == case.true_id for case, name in applied if case.kind == error_kind]
        rights = [name != case.true_id for case, name in applied if case.kind == "right"]
        row = {"pictures": pictures, "strategy": strategy}
        row |= {"n_errors": len(errors), "recovered": sum(errors), "n_right": len(rights), "broken": sum(rights)}
        row["recovered_rate"] = sum(errors) / len(errors) if errors else None
        row["broken_rate"] = sum(rights) / len(rights) if rights else None
        if applied:
            report.rows.append(row)
    return row


def _given(outcome: Outcome, classifier: Classifier) -> str | None:
    return None if outcome.index is None else classifier.names[outcome.index]


if __name__ == "__main__":
    main()

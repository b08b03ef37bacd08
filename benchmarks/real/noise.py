"""Over several noises of the masks, how many names change: with one mask for a decision, and with several where it is near.

``python -m benchmarks.real.noise --work FOLDER --json FILE``. Each picture is masked with several noises. With each of them
it is classified again twice: the first mask alone decides (`one`), or the mean over one to four masks, the more the nearer
another name is to its limits (`several`, the rule of an audit). A name that is not the same with all noises is one that noise
decides. Beside real cats at another cat's place, or beside another's thing (kept-back seeds of
:mod:`benchmarks.real.run`), stand ten camera-trap frames of jaguars and the frames of synthetic scenes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from benchmarks.common import Report, options
from benchmarks.real.sets import RealSet, add_work, find_weights, make_set
from benchmarks.reclassify.cases import Case, imagenet_model, jaguar_cases, scene_cases
from benchmarks.reclassify.decide import joint_maps, masked_pictures, other_maps
from scd_core.audit.slices.statistics import wilson_interval
from scd_core.identify import Classifier, load_model
from scd_core.reclassify import reclassify
from scd_core.reclassify.core import Again
from scd_core.scenes import packaged_model

__all__ = ["count_changes", "main", "set_cases"]

KINDS = ("place", "thing", "jaguar", "scenes")

_COLUMNS = ("pictures", "boxes", "decision", "noises", "n", "changed", "suggested", "right", "broken", "further_masks")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark; see the module."""
    parser = options(str(__doc__).splitlines()[0])
    parser.set_defaults(seed=[4])
    add_work(parser)
    parser.add_argument("--kind", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--noises", type=int, default=10, help="noises of each mask")
    parser.add_argument("--pictures", type=int, default=100, help="pictures of each kind")
    args = parser.parse_args(arguments)
    report = Report("real_noise", torch.device("cpu"))
    for kind in args.kind:
        made = _cases(kind, args.work, args.seed[0], args.pictures)
        if made is None:
            report.notes[kind] = "left out: the weights are not here"
            continue
        classifier, cases = made
        chosen = cases[:: max(1, len(cases) // args.pictures)][: args.pictures]
        report.rows += _compare(report, classifier, kind, chosen, args.noises)
    for row in report.rows:
        low, high = wilson_interval(row["changed"] / row["n"], row["n"])
        key = f"changed_{row['pictures']}_{row['boxes']}_{row['decision']}"
        report.summary |= {key: row["changed"] / row["n"], f"{key}_low": float(low), f"{key}_high": float(high)}
    report.notes["changed"] = "pictures whose name after the decision is not the same with all noises"
    report.notes["right"] = (
        "means over the noises, as suggested and broken: other names than the model's that are right"
    )
    report.show(_COLUMNS, "names that noise decides")
    report.finish(args.json)


def _cases(kind: str, work: Path, seed: int, n: int) -> tuple[Classifier, list[Case]] | None:
    if kind == "scenes":
        classifier = load_model(str(packaged_model("shortcut")))
        return classifier, scene_cases(classifier, n, 1000 + seed)
    if find_weights() is None:
        return None
    if kind == "jaguar":
        loaded = imagenet_model(torch.device("cpu"))
        return None if loaded is None else (loaded[0], jaguar_cases(loaded[0]))
    found = make_set(work, kind, seed)
    classifier = load_model(str(found.model))
    return classifier, set_cases(classifier, found)


def set_cases(classifier: Classifier, found: RealSet) -> list[Case]:
    """The test pictures of a set that are seen away from home."""
    cases = []
    for file, truth in found.truth().items():
        if truth["is_shifted"] != "true":
            continue
        with Image.open(found.pictures / file) as opened:
            picture = opened.convert("RGB")
        logits = classifier.logits(classifier.preprocess(picture)[None])
        name = classifier.names[int(classifier.probabilities(logits)[0].argmax())]
        x, y, width, height = (float(truth[key]) for key in ("x_min", "y_min", "width", "height"))
        kind = "right" if name == truth["individual_id"] else "other"
        cases.append(Case(picture, truth["individual_id"], name, (x, y, width, height), kind))
    return cases


def _compare(
    report: Report, classifier: Classifier, kind: str, cases: Sequence[Case], noises: int
) -> list[dict[str, Any]]:
    names: dict[tuple[str, str], list[list[str]]] = {}
    spent: dict[str, int] = {"yes": 0, "no": 0}

    def counted(again: Again, boxes: str) -> Again:
        def counting(places: Sequence[int], number: int) -> Mapping[int, NDArray[np.floating]]:
            spent[boxes] += len(places)
            return again(places, number)

        return counting

    for noise in range(noises):
        maps: list[NDArray[np.float32]] = joint_maps(classifier, cases, noise)
        known: dict[tuple[int, int], Any] = {}
        for boxes in ("yes", "no"):
            pictures = masked_pictures(classifier, cases, maps, use_boxes=boxes == "yes")
            again = other_maps(classifier, cases, noise, known)
            for decision, second in (("one", None), ("several", counted(again, boxes))):
                decided = [outcomes[-1].index for outcomes in reclassify(classifier, pictures, again=second)]
                given = [case.predicted_id if i is None else classifier.names[i] for case, i in zip(cases, decided)]
                names.setdefault((boxes, decision), []).append(given)
        report.progress(f"{kind}: noise {noise + 1} of {noises}, {len(cases)} pictures")
    return [
        {"pictures": kind, "boxes": boxes, "decision": decision, "noises": noises, "n": len(cases)}
        | count_changes(cases, found)
        | {"further_masks": spent[boxes] / noises if decision == "several" else 0.0}
        for (boxes, decision), found in names.items()
    ]


def count_changes(cases: Sequence[Case], names: Sequence[Sequence[str]]) -> dict[str, float]:
    """Pictures whose name depends on the noise, and per noise how many names are suggested, rightly, and how many broken.

    Args:
        cases: the pictures.
        names: for each noise the name of each picture after the decision.
    """
    n = len(names)
    pairs = [(case, one[place]) for one in names for place, case in enumerate(cases)]
    return {
        "changed": sum(len({one[place] for one in names}) > 1 for place in range(len(cases))),
        "suggested": sum(name != case.predicted_id for case, name in pairs) / n,
        "right": sum(name == case.true_id != case.predicted_id for case, name in pairs) / n,
        "broken": sum(case.predicted_id == case.true_id != name for case, name in pairs) / n,
    }


if __name__ == "__main__":
    main()

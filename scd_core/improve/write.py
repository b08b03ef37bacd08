"""Writing what was found as a new model package, which knows its parent and what it is expected to do."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

import numpy as np
import torch

from scd_core.errors import InputError
from scd_core.identify.calibrate import fit_temperature
from scd_core.identify.child import check_target, head_of, lineage, with_head, with_tensors, write_child
from scd_core.identify.classifier import Classifier
from scd_core.identify.package import Package
from scd_core.identify.spec import PackageSpec, validated
from scd_core.improve.names import HeadKind, View
from scd_core.improve.rate import Gain, Rate
from scd_core.improve.show import MARGINS
from scd_core.improve.trial import Trial
from scd_core.improve.ways import Outcome

__all__ = ["write_improved"]

_DIGITS = 4


def write_improved(url: str, parent: Package, trial: Trial, outcome: Outcome, now: datetime | None = None) -> Package:
    """Write a package of one of the ways that were tried.

    Its names are those of the labels where it has a new head, else the parent's. The temperature is fitted to the targets that
    judge new places; the parent's threshold of `unknown` stays. ``provenance`` holds the parent's digest, the labels, the split
    and what is expected.

    Args:
        url: folder on a local disk; must not hold a package.
        parent: the model that was tried.
        trial: what was found.
        outcome: the way that is written.
        now: when; None is now.

    Raises:
        InputError: there is a package, `trapaudit run` cannot name in this way, or the folder cannot be written.
    """
    check_target(url)
    way = outcome.way
    if not way.can_run:
        raise InputError(f"--write {url}: `trapaudit run` does not name by {way.key}, so no package can hold it")
    content = parent.spec.model_dump(mode="json")
    content["input"]["box_use"] = "locate" if way.view == View.WHOLE else "classify"
    content["input"]["box_margin"] = MARGINS.get(way.view) or None
    content["provenance"] = _provenance(parent, trial, outcome, now)
    weights, frame_head = parent.weights, parent.frame_head if way.view in MARGINS and way.head is None else None
    if way.head is not None:
        content |= {"labels": list(trial.labelled.names), "weights": "weights.safetensors"}
        content["class_means"] = None  # of the parent's names
        if trial.tuner is not None and way.head == HeadKind.FINE_TUNED:
            weights = with_tensors(parent, trial.tuner.fitted)
            content["features_of"] = content["whitening"] = content["candidate_similarity"] = None  # others than before
            content["provenance"]["training"] = asdict(trial.tuner.request.settings) | {
                "stopped_after": trial.tuner.n_epochs
            }
        else:
            heads = trial.heads(way)
            assert heads.shown is not None
            weights = with_head(parent, head_of(parent)[0], heads.shown)
            frame_head = None if heads.frame is None else heads.frame.to_bytes()
            content["features_of"] = parent.spec.embedding_space
        content["weights_sha256"] = hashlib.sha256(weights).hexdigest()
    content["frame_head"] = None if frame_head is None else "frame_head.safetensors"
    spec = validated(content, "improve")
    made = replace(parent, url=url, spec=spec, weights=weights, frame_head=frame_head)
    made = replace(made, spec=_calibrated(made, trial, outcome))
    return write_child(url, made.spec, made.files())


def _calibrated(package: Package, trial: Trial, outcome: Outcome) -> PackageSpec:
    """The description with the temperature that fits the targets which judge new places."""
    classifier = Classifier(package, torch.device("cpu"))
    names = [row["true_id"] for row in trial.labelled.rows]
    counted = trial.evidence.in_new & trial.shown.has_view[outcome.way.view] & np.isin(names, classifier.names)
    places = np.flatnonzero(counted)
    temperature = fit_temperature(
        classifier, torch.from_numpy(trial.scores[outcome.way.key][0][places]), [names[place] for place in places]
    )
    return package.spec.model_copy(update={"temperature": temperature})


def _provenance(parent: Package, trial: Trial, outcome: Outcome, now: datetime | None) -> dict[str, Any]:
    labels = sorted([str(row["target_id"]), str(row["true_id"])] for row in trial.labelled.rows)
    return lineage(parent, "improve", now) | {
        "way": outcome.way.key,
        "weight_of_parent_head": round(trial.weights[outcome.way.key], _DIGITS),
        "names_by": ["box", "frame"] if outcome.way.by_frame else [str(outcome.way.view)],
        "labels": {
            "n_pictures": len(labels),
            "n_visits": len(np.unique(trial.labelled.visit)),
            "n_individuals": len(trial.labelled.names),
            "n_cameras": len(trial.labelled.cameras),
            "digest": hashlib.sha256(json.dumps(labels).encode()).hexdigest(),
        },
        "split": "individuals left out at whole cameras, and visits left out; pictures that are nearly one left out together",
        "expected": {
            "right_in_new_places": _interval(trial.expected if outcome is trial.best else outcome.new),
            "right_at_home": _interval(outcome.home),
            "gain_in_new_places": _interval(outcome.gain),
            "gain_where_parent_is_at_home": _interval(outcome.held_gain),
            "parent_right_in_new_places": _interval(trial.as_run.new),
            "parent_right_at_home": _interval(trial.as_run.home),
        },
    }


def _interval(rate: Rate | Gain) -> dict[str, Any]:
    found = {name: round(getattr(rate, name), _DIGITS) for name in ("value", "low", "high")}
    return found | ({"n_visits": rate.n} if isinstance(rate, Rate) else {})

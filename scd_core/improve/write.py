"""Writing what was found as a new model package, which knows its parent and what it is expected to do."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save

from scd_core import __version__
from scd_core.errors import InputError
from scd_core.identify.architectures import last_linear, load_state
from scd_core.identify.calibrate import fit_temperature
from scd_core.identify.classifier import Classifier
from scd_core.identify.package import Package, local_folder, read_package
from scd_core.identify.spec import MODEL_FILE, PackageSpec, validated, write_spec
from scd_core.improve.rate import Gain, Rate
from scd_core.improve.trial import Trial
from scd_core.improve.ways import Outcome
from scd_core.names import View

__all__ = ["check_target", "write_improved"]

_DIGITS = 4


def check_target(url: str) -> Path:
    """The folder of a package that is to be written.

    Raises:
        InputError: it is not on a local disk, or holds a package already.
    """
    folder = local_folder(url)
    if (folder / MODEL_FILE).exists():
        raise InputError(
            f"--write {url}: holds a model package already; nothing is written over, choose another folder"
        )
    return folder


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
    folder = check_target(url)
    way = outcome.way
    if not way.can_run:
        raise InputError(f"--write {url}: `trapaudit run` does not name by {way.key}, so no package can hold it")
    content = parent.spec.model_dump(mode="json")
    content["input"]["box_use"] = "classify" if way.view == View.BOX_CROP else "locate"
    content["provenance"] = _provenance(parent, trial, outcome, now or datetime.now(UTC))
    weights = parent.weights
    if way.head is not None:
        weights = _with_head(parent, trial, outcome)
        content |= {"labels": list(trial.labelled.names), "weights": "weights.safetensors"}
        content["features_of"] = parent.spec.embedding_space
        content["weights_sha256"] = hashlib.sha256(weights).hexdigest()
    spec = validated(content, "improve")
    made = Package(url, spec, weights, parent.gallery, "")
    made = replace(made, spec=_calibrated(made, trial, outcome))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / made.spec.weights).write_bytes(weights)
        if parent.gallery is not None and spec.gallery is not None:
            (folder / spec.gallery).write_bytes(parent.gallery)
    except OSError as error:
        raise InputError(f"--write {url}: cannot be written ({error})") from error
    write_spec(folder, made.spec)  # last: a folder without it is no package
    return read_package(str(folder))


def _with_head(parent: Package, trial: Trial, outcome: Outcome) -> bytes:
    """The parent's weights with the new head in the place of the old, as safetensors."""
    head = trial.head(outcome.way)
    state = load_state(parent.weights, parent.spec.weights)
    name = last_linear(Classifier(parent, torch.device("cpu")).model)
    state[f"{name}.weight"], state[f"{name}.bias"] = torch.from_numpy(head.weight), torch.from_numpy(head.bias)
    return save({key: value.contiguous() for key, value in state.items()})


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


def _provenance(parent: Package, trial: Trial, outcome: Outcome, now: datetime) -> dict[str, Any]:
    labels = sorted([str(row["target_id"]), str(row["true_id"])] for row in trial.labelled.rows)
    return {
        "made_by": f"trapaudit {__version__} improve",
        "made_at": now.isoformat(timespec="seconds"),
        "parent_digest": parent.digest,
        "parent_provenance": parent.spec.provenance,
        "way": outcome.way.key,
        "labels": {
            "n_pictures": len(labels),
            "n_visits": len(np.unique(trial.labelled.visit)),
            "n_individuals": len(trial.labelled.names),
            "n_cameras": len(trial.labelled.cameras),
            "digest": hashlib.sha256(json.dumps(labels).encode()).hexdigest(),
        },
        "split": "individuals left out at whole cameras, and visits left out; pictures that are nearly one left out together",
        "expected": {
            "right_in_new_places": _interval(outcome.new),
            "right_at_home": _interval(outcome.home),
            "gain_in_new_places": _interval(outcome.gain),
            "parent_right_in_new_places": _interval(trial.as_run.new),
            "parent_right_at_home": _interval(trial.as_run.home),
        },
    }


def _interval(rate: Rate | Gain) -> dict[str, Any]:
    found = {name: round(getattr(rate, name), _DIGITS) for name in ("value", "low", "high")}
    return found | ({"n_visits": rate.n} if isinstance(rate, Rate) else {})

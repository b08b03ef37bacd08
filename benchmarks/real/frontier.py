"""How many errors of place could be suggested at a given precision, by rules that the decision has and by some that it has not.

``python -m benchmarks.real.frontier --json FILE --work FOLDER``. Each test picture of a set ``place`` is named whole, in two
crops to its box, and by the features in its box. A rule gives one other name and a score from these. Its suggestions are
sorted by score over all sets; counted is how far down the list the precision is still .9 and .8. So the limit is
read off the same data: what a rule could do at best, not what it does. Rules:

- ``fixed``: the product of the crops, where each crop and the features put the name before the old one (the decision's).
- ``taken_out``: the best name of the crops without the old one, where the labels of the camera's other pictures show at
  least two individuals that were wrongly called so, and the crop and the features put the new name first.
- ``camera_share``: each crop's probabilities are divided by what that crop gives the camera's other pictures on average.
- ``fitted``: weights of the views by logistic regression on the labels of the other cameras and of other photographs.
- ``fitted_share``: the same with the camera's averages as two views more.

``chosen`` is no limit read off the data: it is the loosest limit that the labels of the other cameras of the same OUT show to be
right in .8, by an exact binomial test of 90 %.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.optimize import minimize
from scipy.stats import binom

from benchmarks.common import Report, options
from benchmarks.real.sets import RealSet, add_work, find_weights, make_set
from scd_core.config import ReclassifyConfig
from scd_core.identify import load_model
from scd_core.masks.feature_layer import FeatureLayer
from scd_core.names import Strategy
from scd_core.reclassify import MaskedPicture
from scd_core.reclassify.decision import ALONE
from scd_core.reclassify.late import late_logits, pooled_layer
from scd_core.reclassify.strategies import STRATEGIES, View

__all__ = ["RULES", "Named", "chosen_limits", "count_at", "main", "read_views"]

CROPS = (Strategy.BOX_CROP, Strategy.TIGHT_CROP)
PRECISIONS = (0.9, 0.8)
LIMITS = (0.98, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5)
"""Limits of the probability that ``chosen`` tries, from the strictest on."""

SHOWN = (0.95, 0.9, 0.8)
"""Limits that are the same for every set."""

_LEAST = float(np.log(1e-9))
_CERTAIN = 0.9
_FEWEST = 5
"""Suggestions of which a precision is counted."""
_PER_NAME = 0.5
"""Pictures that are added to the average of a camera for each name."""
_RIDGE = 1.0

Suggested = tuple[NDArray[np.int64], NDArray[np.float64]]
"""(N,) name, and (N,) logarithm of its probability; -inf where nothing is suggested."""


@dataclass(frozen=True)
class Named:
    """What the views gave of each picture of one set."""

    views: dict[str, NDArray[np.float64]]
    """``whole`` and :data:`ALONE` -> (N, K) log-probabilities."""
    true: NDArray[np.int64]
    """(N,) place of the true name."""
    home: NDArray[np.int64]
    """(N,) place of the name whose home the picture shows."""
    camera: NDArray[np.str_]
    """(N,) place."""
    photograph: NDArray[np.str_]
    """(N,) photograph of the animal; each is shown at home and elsewhere."""

    @property
    def called(self) -> NDArray[np.int64]:
        """(N,) place of the name that the whole picture is given."""
        found: NDArray[np.int64] = self.views["whole"].argmax(1)
        return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark; see the module."""
    parser = options(str(__doc__).splitlines()[0])
    parser.set_defaults(seed=[1, 2, 3, 4, 5])
    add_work(parser)
    chosen = parser.parse_args(arguments)
    report = Report("real_frontier", torch.device("cpu"))
    if find_weights() is None:
        report.notes["real"] = "left out: the weights are not here"
        return report.finish(chosen.json)
    sets = []
    for seed in chosen.seed[:1] if chosen.quick else chosen.seed:
        sets.append(read_views(make_set(chosen.work, "place", seed)))
        report.progress(f"place {seed}")
    report.notes["seeds"] = [int(seed) for seed in chosen.seed]
    for name, rule in RULES.items():
        found = [rule(one) for one in sets]
        report.rows += [
            {"rule": name, "limit": f"precision {least}"} | count_at(sets, found, least) for least in PRECISIONS
        ]
        limits = {f"from {level}": [_from(some, level) for some in found] for level in SHOWN}
        limits["chosen"] = [chosen_limits(one, some) for one, some in zip(sets, found, strict=True)]
        report.rows += [{"rule": name, "limit": limit} | count_at(sets, some, 0.0) for limit, some in limits.items()]
        report.progress(name)
    report.show(("rule", "limit", *COUNTS), "suggestions for errors of place")
    report.finish(chosen.json)


COUNTS = ("place_errors", "corrected", "suggested", "suggested_right", "right", "broken")


def read_views(found: RealSet) -> Named:
    """Name every test picture of a set by the whole picture and by the views of the animal alone."""
    classifier, config = load_model(str(found.model)), ReclassifyConfig()
    layer = pooled_layer(classifier)
    if not isinstance(layer, FeatureLayer):
        raise ValueError(f"{found.model}: {layer}")
    truth = found.truth()
    parts: dict[str, list[torch.Tensor]] = {name: [] for name in ("whole", *ALONE)}
    for file, row in truth.items():
        with Image.open(found.pictures / file) as opened:
            picture = opened.convert("RGB")
        x, y, width, height = (float(row[name]) for name in ("x_min", "y_min", "width", "height"))
        mask = np.ones((8, 8), dtype=np.float32)
        masked = MaskedPicture(picture, mask, classifier.spec.input, box=(x, y, width, height))
        parts["whole"].append(classifier.logits(masked.tensor[None]))
        for strategy in ALONE:
            view = STRATEGIES[strategy](masked, config)
            assert isinstance(view, View)
            if view.keep is None:
                parts[strategy].append(classifier.logits(view.tensor[None]))
            else:
                parts[strategy].append(late_logits(classifier, layer, view.tensor[None], view.keep[None]))
    place = {name: number for number, name in enumerate(classifier.names)}
    rows = list(truth.values())
    return Named(
        {name: classifier.probabilities(torch.cat(some)).double().log().numpy() for name, some in parts.items()},
        np.array([place[row["individual_id"]] for row in rows]),
        np.array([place[row["home_of"]] for row in rows]),
        np.array([row["place"] for row in rows]),
        np.array([file.rpartition("_")[2][:4] for file in truth]),
    )


def count_at(sets: Sequence[Named], found: Sequence[Suggested], least: float) -> dict[str, int]:
    """Counts over the longest list of suggestions, from the surest on, whose precision is at least `least`.

    Args:
        sets: the pictures.
        found: of each set what a rule suggests.
        least: precision, 0-1; 0 counts every suggestion.
    """
    score = np.concatenate([some[1] for some in found])
    is_right = np.concatenate([some[0] == one.true for one, some in zip(sets, found, strict=True)])
    is_home = np.concatenate([(one.called != one.true) & (one.called == one.home) for one in sets])
    was_right = np.concatenate([one.called == one.true for one in sets])
    order = np.argsort(-score, kind="stable")
    order = order[np.isfinite(score[order])]
    precision = np.cumsum(is_right[order]) / np.arange(1, len(order) + 1)
    long_enough = np.flatnonzero((precision >= least) & (np.arange(1, len(order) + 1) >= min(_FEWEST, len(order))))
    order = order[: long_enough[-1] + 1] if len(long_enough) else order[:0]
    return {
        "place_errors": int(is_home.sum()),
        "corrected": int((is_right & is_home)[order].sum()),
        "suggested": len(order),
        "suggested_right": int(is_right[order].sum()),
        "right": int(was_right.sum()),
        "broken": int(was_right[order].sum()),
    }


def chosen_limits(one: Named, found: Suggested, least: float = 0.8) -> Suggested:
    """Suggestions from the limit on that labels of the other cameras choose; none where these show no limit to do.

    The limits are tested from the strictest on and the first that fails ends the sequence. A limit with too few suggestions to
    pass, even if all are right, is passed over, which is decided before a label is looked at.
    """
    name, score = found
    limited = np.full(len(score), -np.inf)
    for camera in set(one.camera):
        here = one.camera == camera
        limit = None
        for level in LIMITS:
            taken = ~here & (score >= np.log(level))
            n, n_right = int(taken.sum()), int((name == one.true)[taken].sum())
            if least**n > 1 - _CERTAIN:
                continue
            if binom.sf(n_right - 1, n, least) > 1 - _CERTAIN:
                break
            limit = level
        if limit is not None:
            kept = here & (score >= np.log(limit))
            limited[kept] = score[kept]
    return name, limited


def _from(found: Suggested, level: float) -> Suggested:
    """Suggestions that are at least so sure."""
    return found[0], np.where(found[1] >= np.log(level), found[1], -np.inf)


def _fixed(one: Named) -> Suggested:
    return _before_old(one, _normalised(sum(_clipped(one, crop) for crop in CROPS) / len(CROPS)), ALONE)


def _taken_out(one: Named) -> Suggested:
    score = np.asarray(sum(_clipped(one, crop) for crop in CROPS) / len(CROPS))
    score[np.arange(len(score)), one.called] = -np.inf
    name, found = _before_old(one, _normalised(score), (Strategy.BOX_CROP, Strategy.LATE_BOX))
    is_wrong = one.called != one.true
    for number, (camera, called) in enumerate(zip(one.camera, one.called, strict=True)):
        others = (one.camera == camera) & (one.called == called) & is_wrong
        others[number] = False
        if len(set(one.true[others])) < 2:
            found[number] = -np.inf
    return name, found


def _camera_share(one: Named) -> Suggested:
    shared = [_clipped(one, crop) - _shares(one, crop) for crop in CROPS]
    return _before_old(one, _normalised(np.mean(shared, axis=0)), ())


def _fitted(one: Named, with_shares: bool = False) -> Suggested:
    parts = [_clipped(one, view) for view in one.views] + [_shares(one, crop) for crop in CROPS if with_shares]
    features = np.stack([*parts, np.eye(parts[0].shape[1])[one.called]], -1)
    score = np.zeros(features.shape[:2])
    for camera in set(one.camera):
        here = one.camera == camera
        others = ~here & ~np.isin(one.photograph, one.photograph[here])
        score[here] = features[here] @ _weights(features[others], one.true[others])
    return _before_old(one, _normalised(score), ())


def _fitted_share(one: Named) -> Suggested:
    return _fitted(one, with_shares=True)


RULES: dict[str, Callable[[Named], Suggested]] = {
    "fixed": _fixed,
    "taken_out": _taken_out,
    "camera_share": _camera_share,
    "fitted": _fitted,
    "fitted_share": _fitted_share,
}
"""Name -> what it suggests for each picture of a set; see the module."""


def _before_old(one: Named, score: NDArray[np.float64], views: Sequence[str]) -> Suggested:
    """The first name of (N, K) log-probabilities where it is another one and each of some views puts it before the old one."""
    every, name = np.arange(len(score)), score.argmax(1)
    is_other = name != one.called
    for view in views:
        is_other &= one.views[view][every, name] > one.views[view][every, one.called]
    return name, np.where(is_other, score[every, name], -np.inf)


def _shares(one: Named, view: str) -> NDArray[np.float64]:
    """(N, K): logarithm of what a view gives each name on average over the other pictures of the same camera."""
    given = np.exp(one.views[view])
    shares = np.zeros_like(given)
    for camera in set(one.camera):
        here = one.camera == camera
        others = given[here].sum(0) - given[here]
        shares[here] = np.log((others + _PER_NAME) / (here.sum() - 1 + _PER_NAME * given.shape[1]))
    return shares


def _weights(features: NDArray[np.float64], true: NDArray[np.int64]) -> NDArray[np.float64]:
    """(F,) weights of (N, K, F) features under which the true name is most probable, with a ridge (conditional logit)."""
    every = np.arange(len(true))

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        score = _normalised(features @ weights)
        gradient = np.einsum("nk,nkf->f", np.exp(score), features) - features[every, true].sum(0)
        total = -score[every, true].sum() + _RIDGE * (weights**2).sum()
        return float(total), gradient + 2 * _RIDGE * weights

    found: Any = minimize(loss, np.zeros(features.shape[2]), jac=True, method="L-BFGS-B")
    return np.asarray(found.x, dtype=np.float64)


def _clipped(one: Named, view: str) -> NDArray[np.float64]:
    return np.maximum(one.views[view], _LEAST)


def _normalised(score: Any) -> NDArray[np.float64]:
    found: NDArray[np.float64] = score - np.logaddexp.reduce(score, axis=1, keepdims=True)
    return found


if __name__ == "__main__":
    main()

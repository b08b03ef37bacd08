"""Every way, run on the labelled pictures: its scores of what it did not learn from, and which names are right."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from scd_core.identify.classifier import Classifier
from scd_core.improve.heads import FITTED, Floats, fit_head
from scd_core.improve.keeping import KEEPS, Heads, kept_heads, spread
from scd_core.improve.labelled import Labelled
from scd_core.improve.names import HeadKind, View
from scd_core.improve.show import MARGINS, SHOWN, Shown
from scd_core.improve.split import Split
from scd_core.improve.tune import FINE_TUNED, Tuner
from scd_core.improve.ways import Evidence, Way

__all__ = ["NEEDS", "Attempt", "Scores", "attempt_all", "attempt_tuned", "fit_way", "right_names", "view_as_run"]

Bools = NDArray[np.bool_]
Scores = tuple[Floats, Floats]
"""(N, K) scores of each target where its camera was left out, and where its group was."""

HEAD_VIEWS = (View.BOX_CROP, View.WIDE_CROP, View.WIDER_CROP, View.WHOLE, View.BLURRED)

_MIN_HELD = 5
NEEDS = {
    View.WHOLE: "nothing",
    View.BOX_CROP: "boxes",
    View.WIDE_CROP: "boxes",
    View.WIDER_CROP: "boxes",
    View.POOLED: "boxes; to compare",
    View.BLURRED: "boxes; to compare",
    View.AVERAGE: "boxes; to compare",
}


@dataclass(frozen=True)
class Attempt:
    """A way, and what it names."""

    way: Way
    right: tuple[Bools, Bools]
    """(N,) whether each target is named rightly where its camera was left out, and where its group was."""
    scores: Scores | None
    """Over `labelled.names` for a new head, over the model's classes else; None for a mean of views."""
    seconds: float
    home_margin: float | None
    """How safe its names are where the model is at home (:func:`home_margin`)."""
    weight: float = 0.0
    """Of the model's own scores in those of a head that keeps some of them."""


def attempt_all(
    labelled: Labelled,
    shown: Shown,
    classifier: Classifier,
    splits: tuple[Split, Split],
    evidence_of: Callable[[Bools], Evidence],
) -> tuple[list[Attempt], Evidence]:
    """All ways, the model as it is run first, and the evidence that they are judged by.

    Args:
        labelled: the targets.
        shown: what the network makes of them.
        classifier: the model.
        splits: by place, and by visit.
        evidence_of: whether the model as it is run names each target rightly -> the evidence.
    """
    own_logits = {view: _logits(view, shown, classifier) for view in shown.logits}
    views = {
        view: right_names(labelled, classifier, logits) & shown.has_view[view] for view, logits in own_logits.items()
    }
    if View.BOX_CROP in views and View.POOLED in views:
        both = np.stack([_log_probabilities(classifier, own_logits[view]) for view in (View.BOX_CROP, View.POOLED)])
        views[View.AVERAGE] = _right(labelled, classifier, both.mean(0)) & shown.has_view[View.BOX_CROP]
    as_run = view_as_run(labelled, classifier)
    evidence = evidence_of(views[as_run])
    found = []
    for view in (as_run, *(view for view in (*SHOWN, View.AVERAGE) if view != as_run and view in views)):
        logits = own_logits.get(view)
        margin = None
        if logits is not None:
            own_place = {name: number for number, name in enumerate(classifier.names)}
            known = np.array([own_place.get(row["true_id"], -1) for row in labelled.rows])
            margin = home_margin(_log_probabilities(classifier, logits), known, evidence)
        scores = None if logits is None else (logits, logits)
        found.append(Attempt(Way(view), (views[view],) * 2, scores, 0.0, margin))
    if shown.no_head is None:
        for view in (view for view in HEAD_VIEWS if view in shown.features):
            own = kept_heads(classifier, labelled.names, as_run, view)
            found += _new_heads(view, labelled, shown, splits, evidence, own)
    return found, evidence


def attempt_tuned(tuner: Tuner, labelled: Labelled, splits: tuple[Split, Split], evidence: Evidence) -> Attempt:
    """The way whose last blocks are trained.

    Args:
        tuner: trains them.
        labelled: the targets.
        splits: by place, and by visit.
        evidence: that all ways are judged by.
    """
    new, home = tuner.left_out(splits)
    right, at_home = ((scores.argmax(1) == labelled.truth) & tuner.has_box for scores in (new, home))
    margin = home_margin(home, labelled.truth, evidence)
    return Attempt(FINE_TUNED, (right, at_home), (new, home), tuner.seconds, margin)


def fit_way(way: Way, weight: float, labelled: Labelled, shown: Shown, classifier: Classifier) -> Heads:
    """The heads of a way, fitted to all labelled targets that have its view.

    Args:
        way: with a head.
        weight: of the model's own scores, for a way that keeps some of them.
        labelled: the targets.
        shown: what the network makes of them.
        classifier: the model.
    """
    assert way.head is not None
    chosen = shown.has_view[way.view]
    new = fit_head(way.head, shown.features[way.view][chosen], labelled.truth[chosen], len(labelled.names))
    as_run = view_as_run(labelled, classifier)
    own = kept_heads(classifier, labelled.names, as_run, way.view) if way.keep else None
    return Heads(new, None) if own is None else own.beside(new, weight)


def view_as_run(labelled: Labelled, classifier: Classifier) -> View:
    """How the audit ran the model: on boxes, where most targets that it named are boxes.

    Where the labels are of another model's audit, as its package describes (`input.box_use`), else as that model was run.
    """
    rows = [row for row in labelled.rows if row.get("model_digest") == classifier.digest] or labelled.rows
    is_on_boxes = 2 * sum(row["detection_id"] is not None for row in rows) > len(rows)
    if rows is labelled.rows and classifier.spec.input.box_use is not None:
        has_boxes = any(row["bbox_x_min"] is not None for row in rows)
        is_on_boxes = has_boxes and classifier.spec.input.box_use == "classify"
    if not is_on_boxes:
        return View.WHOLE
    margin = classifier.spec.input.box_margin or 0.0
    return min(MARGINS, key=lambda view: abs(MARGINS[view] - margin))


def _new_heads(
    view: View,
    labelled: Labelled,
    shown: Shown,
    splits: tuple[Split, Split],
    evidence: Evidence,
    own: Heads | None,
) -> Iterator[Attempt]:
    """Both kinds of head on a view, each alone and with the model's own."""
    has_view = shown.has_view[view]

    def right(scores: Floats) -> Bools:
        return (scores.argmax(1) == labelled.truth) & has_view

    for kind in FITTED:
        started = time.perf_counter()
        new, home = (_left_out(kind, shown, view, labelled, split) for split in splits)
        took = time.perf_counter() - started
        margin = home_margin(home, labelled.truth, evidence)
        yield Attempt(Way(view, kind), (right(new), right(home)), (new, home), took, margin)
        if own is None:
            continue
        old = own.scores(view, shown)
        unit = spread(new[has_view]) / spread(old[has_view])
        for keep in KEEPS:
            one, other = new + keep * unit * old, home + keep * unit * old
            margin = home_margin(other, labelled.truth, evidence)
            way = Way(view, kind, keep, by_frame=own.frame is not None)
            yield Attempt(way, (right(one), right(other)), (one, other), took, margin, keep * unit)


def home_margin(scores: NDArray[np.floating], truth: NDArray[np.int64], evidence: Evidence) -> float | None:
    """How far names where the model as it is run is at home lie from being lost: a mean of margins over their deviation.

    A margin is the score of the right name less the best of the others. Shares of right names are hardly different between ways
    there, where nearly all are right; margins are.

    Args:
        scores: (N, K) of each target where its group was left out.
        truth: (N,) right one of the K names; -1 where it is none of them.
        evidence: which targets count, and their groups.

    Returns:
        The figure; None where fewer than 5 groups count.
    """
    chosen = np.flatnonzero(evidence.is_held & (truth >= 0))
    groups, place = np.unique(evidence.group[chosen], return_inverse=True)
    if len(groups) < _MIN_HELD:
        return None
    others = scores[chosen].astype(float)
    own = others[np.arange(len(chosen)), truth[chosen]].copy()
    others[np.arange(len(chosen)), truth[chosen]] = -np.inf
    margins = np.bincount(place, own - others.max(1)) / np.bincount(place)
    return float(margins.mean() / (margins.std() + 1e-12))


def _left_out(kind: HeadKind, shown: Shown, view: View, labelled: Labelled, split: Split) -> Floats:
    """(N, K) scores of each target by the head that was fitted without its part."""
    scores = np.zeros((len(labelled.rows), len(labelled.names)), np.float32)
    has_view = shown.has_view[view]
    for learnt, out in split:
        chosen = learnt[has_view[learnt]]
        if len(np.unique(labelled.truth[chosen])) >= 2:
            head = fit_head(kind, shown.features[view][chosen], labelled.truth[chosen], len(labelled.names))
            scores[out] = head.scores(shown.features[view][out])
    return scores


def _logits(view: View, shown: Shown, classifier: Classifier) -> Floats:
    """(N, K) the model's own logits of a view; of boxes with what the whole frame adds, where it names by that as well."""
    logits, frame = shown.logits[view], classifier.frame_head
    return logits if frame is None or view not in MARGINS else logits + frame.scores(shown.features[View.WHOLE])


def right_names(labelled: Labelled, classifier: Classifier, logits: Floats) -> Bools:
    """(N,) whether the model's own names are right; a name below its threshold of `unknown` is not."""
    return _right(labelled, classifier, _log_probabilities(classifier, logits))


def _right(labelled: Labelled, classifier: Classifier, log_probabilities: NDArray[np.float64]) -> Bools:
    called = [classifier.names[place] for place in log_probabilities.argmax(1)]
    is_right = np.array([name == row["true_id"] for name, row in zip(called, labelled.rows, strict=True)], dtype=bool)
    return is_right & (np.exp(log_probabilities.max(1)) >= (classifier.spec.unknown_threshold or 0.0))


def _log_probabilities(classifier: Classifier, logits: Floats) -> NDArray[np.float64]:
    """(N, names) log of the calibrated probabilities."""
    return np.log(classifier.probabilities(torch.from_numpy(logits)).numpy() + 1e-30)

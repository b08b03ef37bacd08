"""Everything that could be done with the labels of an audit, tried on what it did not learn from."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats

from scd_core.errors import InputError
from scd_core.identify.class_means import Head
from scd_core.identify.classifier import Classifier
from scd_core.improve.alike import join_alike
from scd_core.improve.heads import fit_head
from scd_core.improve.labelled import Labelled, codes, read_labelled
from scd_core.improve.show import SHOWN, Shown, show_views
from scd_core.improve.split import Split, split_by_place, split_by_visit
from scd_core.improve.ways import RUNNABLE, Evidence, Outcome, Way, find_best, judge
from scd_core.names import HeadKind, View

__all__ = ["Trial", "run_improve", "try_all"]

Floats = NDArray[np.float32]
Scores = tuple[Floats, Floats]
"""(N, K) scores of each target where its camera was left out, and where its group was."""

_HEAD_VIEWS = (View.BOX_CROP, View.WHOLE, View.BLURRED)
_CHANCE_LEVEL = 0.01
_MIN_NEW = 10
"""Fewest different visits that judge names in new places."""
_NEEDS = {
    View.WHOLE: "nothing",
    View.BOX_CROP: "boxes",
    View.POOLED: "boxes, another run",
    View.BLURRED: "boxes, another run",
    View.AVERAGE: "boxes, another run",
}


@dataclass(frozen=True)
class Trial:
    """What was tried, and what came of it."""

    labelled: Labelled
    shown: Shown
    evidence: Evidence
    as_run: Outcome
    """The model as the audit ran it."""
    outcomes: list[Outcome]
    """All ways, the model as it is run first."""
    scores: dict[str, Scores]
    """Key of a way -> scores of targets left out, over `labelled.names` for a new head, over the model's classes else."""
    lost: tuple[str, ...]
    """Names that MODEL can give and no label has: a new head would never give them."""
    n_alone: int
    """Targets that judge nothing in new places: without the camera too little is left of their individual."""
    n_joined: int
    """Groups of like pictures that lie at more than one camera or visit."""
    seconds: float
    """In all."""

    @property
    def best(self) -> Outcome | None:
        """The way to recommend; None where none is better."""
        return find_best(self.outcomes)

    def outcome(self, key: str) -> Outcome:
        """The outcome of a way.

        Raises:
            InputError: no such way was tried.
        """
        found = next((one for one in self.outcomes if one.way.key == key), None)
        if found is None:
            raise InputError(f"--way {key}: not tried; there are {', '.join(one.way.key for one in self.outcomes)}")
        return found

    def head(self, way: Way) -> Head:
        """The head of a way, fitted to all labelled targets that have its view."""
        assert way.head is not None
        chosen = self.shown.has_view[way.view]
        return fit_head(
            way.head, self.shown.features[way.view][chosen], self.labelled.truth[chosen], len(self.labelled.names)
        )


def run_improve(out: str, classifier: Classifier, progress: Callable[[int, int], None] = lambda done, n: None) -> Trial:
    """Try other views and new heads on the labels of OUT.

    Every head is judged on what it did not learn from: whole cameras that were left out, and visits that were left out at
    cameras that were learnt from. Pictures that are nearly one picture are left out together.

    Args:
        out: OUT.
        classifier: the model to improve.
        progress: called with the number of pictures shown so far, and of all.

    Raises:
        InputError: too few labels, labels that no way agrees with beyond chance, individuals that are each labelled at one
            camera alone, or pictures that cannot be read.
        RunError: the storage did not answer.
    """
    began = time.perf_counter()
    labelled = read_labelled(out)
    done = 0

    def shown_so_far(n: int) -> None:
        nonlocal done
        done += n
        progress(done, len(labelled.rows))

    shown = show_views(labelled, classifier, shown_so_far)
    return replace(try_all(*_readable(labelled, shown), classifier), seconds=time.perf_counter() - began)


def try_all(labelled: Labelled, shown: Shown, classifier: Classifier) -> Trial:
    """Judge every way on pictures that the network has been run on; errors as for :func:`run_improve`.

    Args:
        labelled: targets whose pictures could be read.
        shown: what the network makes of them.
        classifier: the model to improve.
    """
    began = time.perf_counter()
    truth, camera = labelled.truth, labelled.camera
    content = codes([row["content_sha256"] or row["target_id"] for row in labelled.rows])
    group = join_alike(labelled.visit, content, shown.thumbnails)
    in_new, at_home = split_by_place(truth, camera, group), split_by_visit(truth, camera, group)
    evidence = Evidence(in_new.counts, at_home.counts, group, truth * len(labelled.cameras) + camera, truth, camera)
    _check_places(labelled, evidence)
    outcomes, scores = _judge_all(labelled, shown, classifier, in_new, at_home, evidence)
    _check_labels(labelled, outcomes, evidence)
    return Trial(
        labelled,
        shown,
        evidence,
        outcomes[0],
        outcomes,
        scores,
        tuple(sorted(set(classifier.names) - set(labelled.names))),
        int((~in_new.counts).sum()),
        _n_joined(labelled, group),
        time.perf_counter() - began,
    )


def _judge_all(
    labelled: Labelled, shown: Shown, classifier: Classifier, in_new: Split, at_home: Split, evidence: Evidence
) -> tuple[list[Outcome], dict[str, Scores]]:
    """Outcomes of all ways, the model as it is run first, and their scores."""
    as_run = _as_run(labelled)
    views = {
        view: _right_names(labelled, classifier, shown.logits[view]) & shown.has_view[view] for view in shown.logits
    }
    if View.BOX_CROP in views and View.POOLED in views:
        both = np.stack([_log_probabilities(classifier, shown.logits[view]) for view in (View.BOX_CROP, View.POOLED)])
        is_right = _right(labelled, classifier, both.mean(0))
        views[View.AVERAGE] = is_right & shown.has_view[View.BOX_CROP]
    before = views[as_run]
    n_ways = sum((view in views) + len(HeadKind) * (view in shown.features) for view in RUNNABLE)
    outcomes, scores = [], {}
    for view in (as_run, *(view for view in (*SHOWN, View.AVERAGE) if view != as_run and view in views)):
        way = Way(view)
        outcomes.append(judge(way, (views[view],) * 2, (before,) * 2, evidence, 0.0, _NEEDS[view], n_ways))
        if view in shown.logits:
            scores[way.key] = (shown.logits[view],) * 2
    for view in (view for view in _HEAD_VIEWS if view in shown.features and shown.no_head is None):
        for kind in HeadKind:
            started = time.perf_counter()
            way = Way(view, kind)
            found = tuple(_left_out(kind, shown, view, labelled, split) for split in (in_new, at_home))
            right = tuple((one.argmax(1) == labelled.truth) & shown.has_view[view] for one in found)
            took = time.perf_counter() - started
            outcomes.append(judge(way, (right[0], right[1]), (before,) * 2, evidence, took, _NEEDS[view], n_ways))
            scores[way.key] = (found[0], found[1])
    return outcomes, scores


def _as_run(labelled: Labelled) -> View:
    """How the audit ran the model: on boxes, where most targets are boxes."""
    n_boxes = sum(row["detection_id"] is not None for row in labelled.rows)
    return View.BOX_CROP if 2 * n_boxes > len(labelled.rows) else View.WHOLE


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


def _right_names(labelled: Labelled, classifier: Classifier, logits: Floats) -> NDArray[np.bool_]:
    """(N,) whether the model's own names are right; a name below its threshold of `unknown` is not."""
    return _right(labelled, classifier, _log_probabilities(classifier, logits))


def _right(labelled: Labelled, classifier: Classifier, log_probabilities: NDArray[np.float64]) -> NDArray[np.bool_]:
    called = [classifier.names[place] for place in log_probabilities.argmax(1)]
    is_right = np.array([name == row["true_id"] for name, row in zip(called, labelled.rows, strict=True)], dtype=bool)
    return is_right & (np.exp(log_probabilities.max(1)) >= (classifier.spec.unknown_threshold or 0.0))


def _log_probabilities(classifier: Classifier, logits: Floats) -> NDArray[np.float64]:
    """(N, names) log of the calibrated probabilities."""
    return np.log(classifier.probabilities(torch.from_numpy(logits)).numpy() + 1e-30)


def _readable(labelled: Labelled, shown: Shown) -> tuple[Labelled, Shown]:
    """Both without the targets whose pictures could not be read."""
    keep = shown.is_read
    if keep.all():
        return labelled, shown
    return labelled.take(np.flatnonzero(keep)), shown.take(np.flatnonzero(keep))


def _n_joined(labelled: Labelled, group: NDArray[np.int64]) -> int:
    pairs = np.unique(np.stack((group, labelled.visit)), axis=1)
    return int((np.bincount(pairs[0]) > 1).sum())


def _check_places(labelled: Labelled, evidence: Evidence) -> None:
    """Refuse labels by which nothing can be judged in new places.

    Raises:
        InputError: hardly any individual is labelled at more than one camera, or too few pictures differ.
    """
    n_new = len(np.unique(evidence.group[evidence.in_new]))
    if n_new < _MIN_NEW:
        raise InputError(
            f"improve: {n_new} labelled visits of {len(np.unique(evidence.group))} different ones show an individual away from "
            f"where half of its other visits are, {_MIN_NEW} are needed: label individuals at more than one camera, "
            "and pictures that are not nearly the same"
        )


def _check_labels(labelled: Labelled, outcomes: list[Outcome], evidence: Evidence) -> None:
    """Refuse labels that no way agrees with more often than the commonest name alone would.

    Raises:
        InputError: they do not.
    """
    rows = np.flatnonzero(evidence.at_home if evidence.at_home.any() else evidence.in_new)
    groups, first = np.unique(evidence.group[rows], return_index=True)
    commonest = float(np.bincount(labelled.truth[rows[first]]).max()) / len(groups)
    rates = [one.home if evidence.at_home.any() else one.new for one in outcomes]
    best = max(rates, key=lambda rate: rate.value)
    # The best of several ways is above chance by chance: each is given its share of the level.
    level = _CHANCE_LEVEL / len(rates)
    if float(stats.binom.sf(round(best.value * best.n) - 1, best.n, commonest)) > level:
        raise InputError(
            f"improve: the labels do not fit the pictures: of {best.n} visits left out the best of {len(rates)} ways names "
            f"{100 * best.value:.0f} % as labelled, the commonest name alone {100 * commonest:.0f} %; look at the labels "
            "(`trapaudit labels list OUT`) before a model learns them"
        )

"""Everything that could be done with the labels of an audit, tried on what it did not learn from."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from scd_core.errors import InputError
from scd_core.identify.classifier import Classifier
from scd_core.improve.alike import join_alike
from scd_core.improve.attempts import NEEDS, Attempt, Scores, attempt_all, attempt_tuned, fit_way
from scd_core.improve.choice import expected_of, find_best
from scd_core.improve.keeping import Heads
from scd_core.improve.labelled import Labelled, codes, read_labelled
from scd_core.improve.names import Preference
from scd_core.improve.rate import Rate
from scd_core.improve.show import Shown, show_views
from scd_core.improve.split import split_by_place, split_by_visit
from scd_core.improve.tune import Tuner, TuneRequest
from scd_core.improve.ways import Evidence, Outcome, Way, held_by, judge, known_by_place

__all__ = ["Trial", "run_improve", "try_all"]

_CHANCE_LEVEL = 0.01
_MIN_NEW = 10
"""Fewest different visits that judge names in new places."""


@dataclass(frozen=True)
class Trial:
    """What was tried, and what came of it."""

    labelled: Labelled
    shown: Shown
    classifier: Classifier
    evidence: Evidence
    as_run: Outcome
    """The model as the audit ran it."""
    outcomes: list[Outcome]
    """All ways, the model as it is run first."""
    scores: dict[str, Scores]
    """Key of a way -> scores of targets left out, over `labelled.names` for a new head, over the model's classes else."""
    weights: dict[str, float]
    """Key of a way -> weight of the model's own scores in its own; 0 where none of them count."""
    lost: tuple[str, ...]
    """Names that MODEL can give and no label has: a new head would never give them."""
    rights: dict[str, NDArray[np.bool_]]
    """Key of a way -> (N,) whether each target is named rightly where its camera was left out."""
    n_alone: int
    """Targets that judge nothing in new places: without the camera too little is left of their individual."""
    n_known: int
    """Targets that judge nothing in new places: MODEL knows their individual at that camera, and nowhere else."""
    n_joined: int
    """Groups of like pictures that lie at more than one camera or visit."""
    seconds: float
    """In all."""
    prefer: Preference = Preference.HOME
    """Which of several better ways is recommended."""
    tuner: Tuner | None = None
    """Of the way that was fine-tuned; None where none was."""

    @cached_property
    def n_held(self) -> int:
        """Groups of pictures that show what becomes of names where the model as it is run is at home."""
        return len(np.unique(self.evidence.group[self.evidence.is_held]))

    @cached_property
    def best(self) -> Outcome | None:
        """The way to recommend; None where none is better."""
        return find_best(self.outcomes, self.prefer)

    @cached_property
    def most(self) -> Outcome | None:
        """The better way that is right most often in new places; None where none is better."""
        return find_best(self.outcomes, Preference.NEW_PLACES)

    @cached_property
    def expected(self) -> Rate:
        """Right in new places by the way to recommend, without what it owes to being chosen; of MODEL where none is better."""
        if self.best is None:
            return self.as_run.new
        return expected_of(self.best, self.outcomes, self.rights, self.evidence, self.prefer)

    def outcome(self, key: str) -> Outcome:
        """The outcome of a way.

        Raises:
            InputError: no such way was tried.
        """
        found = next((one for one in self.outcomes if one.way.key == key), None)
        if found is None:
            raise InputError(f"--way {key}: not tried; there are {', '.join(one.way.key for one in self.outcomes)}")
        return found

    def heads(self, way: Way) -> Heads:
        """The heads of a way, fitted to all labelled targets that have its view."""
        return fit_way(way, self.weights[way.key], self.labelled, self.shown, self.classifier)


def run_improve(
    out: str,
    classifier: Classifier,
    progress: Callable[[int, int], None] = lambda done, n: None,
    prefer: Preference = Preference.HOME,
    tune: TuneRequest | None = None,
) -> Trial:
    """Try other views and new heads on the labels of OUT, and fine-tuning where it is wanted.

    Every head is judged on what it did not learn from: whole cameras that were left out, and visits that were left out at
    cameras that were learnt from. Pictures that are nearly one picture are left out together.

    Args:
        out: OUT.
        classifier: the model to improve.
        progress: called with the number of pictures shown so far, and of all.
        prefer: which of several better ways is recommended.
        tune: how the last blocks are trained; None leaves that out.

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
    trial = try_all(*_readable(labelled, shown), classifier, tune)
    return replace(trial, seconds=time.perf_counter() - began, prefer=prefer)


def try_all(labelled: Labelled, shown: Shown, classifier: Classifier, tune: TuneRequest | None = None) -> Trial:
    """Judge every way on pictures that the network has been run on; errors as for :func:`run_improve`.

    Args:
        labelled: targets whose pictures could be read.
        shown: what the network makes of them.
        classifier: the model to improve.
        tune: how the last blocks are trained, after all other ways; None leaves that out.
    """
    began = time.perf_counter()
    truth, camera = labelled.truth, labelled.camera
    content = codes([row["content_sha256"] or row["target_id"] for row in labelled.rows])
    group = join_alike(labelled.visit, content, shown.thumbnails)
    in_new, at_home = split_by_place(truth, camera, group), split_by_visit(truth, camera, group)
    cell = truth * len(labelled.cameras) + camera

    def evidence_of(before: NDArray[np.bool_]) -> Evidence:
        is_held = held_by(before, at_home.counts, group, cell)
        is_known = known_by_place(before, truth, group, cell)
        return Evidence(in_new.counts & ~is_known, at_home.counts, is_held, group, cell, truth, camera)

    _check_places(in_new.counts, group)
    attempts, evidence = attempt_all(labelled, shown, classifier, (in_new, at_home), evidence_of)
    _check_places(evidence.in_new, group)
    n_alone, n_known = int((~in_new.counts).sum()), int((in_new.counts & ~evidence.in_new).sum())
    in_new = replace(in_new, counts=evidence.in_new)
    outcomes = _judged(attempts, evidence)
    _check_labels(labelled, outcomes, evidence)
    tuner = None
    if tune is not None:
        tuner = Tuner(labelled, shown, classifier, tune)
        attempts.append(attempt_tuned(tuner, labelled, (in_new, at_home), evidence))
        outcomes = _judged(attempts, evidence)
    return Trial(
        labelled,
        shown,
        classifier,
        evidence,
        outcomes[0],
        outcomes,
        {one.way.key: one.scores for one in attempts if one.scores is not None},
        {one.way.key: one.weight for one in attempts},
        tuple(sorted(set(classifier.names) - set(labelled.names))),
        {one.way.key: one.right[0] for one in attempts},
        n_alone,
        n_known,
        _n_joined(labelled, group),
        time.perf_counter() - began,
        tuner=tuner,
    )


def _judged(attempts: list[Attempt], evidence: Evidence) -> list[Outcome]:
    # Heads that differ in the weight of MODEL's own alone are nearly one way.
    n_ways = sum(one.way.can_run and not one.way.keep for one in attempts)
    return [
        judge(
            one.way,
            one.right,
            attempts[0].right,
            evidence,
            one.seconds,
            NEEDS[one.way.view] + (", twice the time" if one.way.by_frame else ""),
            n_ways,
            one.home_margin,
        )
        for one in attempts
    ]


def _readable(labelled: Labelled, shown: Shown) -> tuple[Labelled, Shown]:
    """Both without the targets whose pictures could not be read."""
    keep = shown.is_read
    if keep.all():
        return labelled, shown
    return labelled.take(np.flatnonzero(keep)), shown.take(np.flatnonzero(keep))


def _n_joined(labelled: Labelled, group: NDArray[np.int64]) -> int:
    pairs = np.unique(np.stack((group, labelled.visit)), axis=1)
    return int((np.bincount(pairs[0]) > 1).sum())


def _check_places(in_new: NDArray[np.bool_], group: NDArray[np.int64]) -> None:
    """Refuse labels by which nothing can be judged in new places.

    Raises:
        InputError: hardly any individual is labelled at more than one camera, or too few pictures differ.
    """
    n_new = len(np.unique(group[in_new]))
    if n_new < _MIN_NEW:
        raise InputError(
            f"improve: {n_new} labelled visits of {len(np.unique(group))} different ones show an individual away from where "
            f"half of its other visits are or MODEL knows it, {_MIN_NEW} are needed: label individuals at more than one "
            "camera, and pictures that are not nearly the same"
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

"""Whether adapting a model to a camera would name more of its animals rightly, judged on the camera's labelled controls."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy import stats
from torch import Tensor, nn

from scd_core.boxes import box_from_row, widened
from scd_core.errors import InputError
from scd_core.identify.architectures import features_at, last_linear
from scd_core.identify.class_means import fit_class_means
from scd_core.identify.classifier import Classifier
from scd_core.identify.pictures import crop_to_box
from scd_core.improve.adapting import Anchors, adapt, why_not_adapted
from scd_core.improve.alike import join_alike
from scd_core.improve.attempts import right_names, view_as_run
from scd_core.improve.disagreement import expected_right
from scd_core.improve.labelled import Labelled, codes, read_labelled, read_unlabelled
from scd_core.improve.names import View
from scd_core.improve.pictures import iter_labelled
from scd_core.improve.rate import Gain, Rate, gain_of, is_beyond_chance, rate_of
from scd_core.improve.show import MARGINS, Shown, show_views

__all__ = [
    "AdaptTrial",
    "CameraTrial",
    "Judged",
    "judge_camera",
    "last_layer",
    "least_controls",
    "run_adapt",
    "run_network",
]

MIN_PICTURES = 32
"""Fewest pictures without labels that a camera is adapted to."""
HARM = 0.01
"""Probability with which any camera of a table is recommended by chance."""
_MOST_TIMES = 50
_MIN_INDIVIDUALS = 5
"""Fewer are no sample of which an interval could be made: they are the animals of that camera."""

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Judged:
    """What adapting did to the names of a camera's controls."""

    before: Rate
    after: Rate
    gain: Gain
    """Paired by visit; its interval holds for all cameras of the table at once."""
    is_recommended: bool
    n_more: int | None
    """Controls more that would show the gain if the shares stay; None where it is shown, or where there is no gain."""


@dataclass(frozen=True)
class CameraTrial:
    """One camera."""

    camera: str
    n_pictures: int
    """Without labels, that the network was adapted to."""
    n_controls: int
    """Labelled visits of its random sample."""
    judged: Judged | None = None
    """None where there are too few of either."""
    expected: tuple[float, float] | None = None
    """Share that is expected to be right before and after, without any label (:mod:`scd_core.improve.disagreement`)."""
    missing: str = ""
    """What there is too little of, in words; empty where it was judged."""
    seconds: float = 0.0


@dataclass(frozen=True)
class AdaptTrial:
    """All cameras that were looked at."""

    cameras: tuple[CameraTrial, ...]
    not_applicable: str | None = None
    """Why the model cannot be adapted; then there are no cameras."""


def run_adapt(
    out: str,
    classifier: Classifier,
    cameras: Sequence[str] = (),
    progress: Callable[[str], None] = lambda what: None,
) -> AdaptTrial:
    """Adapt the model to each camera's pictures without labels, and judge it on the camera's labelled controls.

    Controls are the pictures that triage drew at random: labels of flagged pictures would praise any other model, since MODEL
    is wrong on them more often. Where pictures of a name lie is learnt from labels of other cameras, without those that are
    nearly a control. Events with a label are none of the pictures that the model is adapted to.

    Args:
        out: OUT.
        classifier: the model; stays as it is.
        cameras: those to look at; none: all that have a control with a label.
        progress: called with the name of each camera before it is worked on.

    Raises:
        InputError: too few labels, a camera without labels, or pictures that cannot be read.
        RunError: the storage did not answer.
    """
    reason = why_not_adapted(classifier)
    if reason:
        return AdaptTrial((), reason)
    labelled = read_labelled(out)
    view = view_as_run(labelled, classifier)
    shown = show_views(labelled, classifier, views=[view])
    if shown.no_head or view not in shown.features:
        return AdaptTrial((), shown.no_head or shown.missing[view])
    has_view = np.flatnonzero(shown.has_view[view])
    labelled, shown = labelled.take(has_view), shown.take(has_view)
    chosen = cameras or sorted({row["camera"] for row in labelled.rows if row["is_control"]})
    unknown = sorted(set(chosen) - set(labelled.cameras))
    if unknown:
        raise InputError(f"--camera {unknown[0]}: has no labels; there are {', '.join(labelled.cameras)}")
    if not chosen:
        raise InputError(
            f"improve: OUT {out} has no labelled control; label those of its random sample (`trapaudit review OUT`): other "
            "labels would praise any change"
        )
    pictures = read_unlabelled(out)
    worker = _Worker(labelled, shown, classifier, view, pictures, len(chosen))
    found = []
    for camera in chosen:
        progress(camera)
        found.append(worker.try_camera(camera))
    return AdaptTrial(tuple(found))


def least_controls(n_cameras: int) -> int:
    """Fewest controls that can show a gain: all won, none lost.

    >>> least_controls(1), least_controls(9)
    (7, 10)
    """
    return math.ceil(math.log2(n_cameras / HARM))


def judge_camera(
    before: Bools, after: Bools, group: NDArray[np.int64], individual: NDArray[np.int64], n_cameras: int
) -> Judged:
    """What adapting did to a camera's controls.

    It is recommended where the gain's interval, of Student over visits, or over 5 individuals or more where that is wider, lies
    above 0 and an exact sign test agrees, each with a probability of .01 over the number of cameras of being so by chance.

    Args:
        before: (N,) whether MODEL names each control rightly.
        after: (N,) whether the adapted network does.
        group: (N,) group of like pictures, such as a visit.
        individual: (N,) who it is.
        n_cameras: cameras of the table.
    """
    level = HARM / n_cameras
    cell = individual if len(np.unique(individual)) >= _MIN_INDIVIDUALS else group
    gain = gain_of(before, after, group, cell, 1 - 2 * level)
    is_recommended = is_beyond_chance(gain, level)
    n_more = None
    if not is_recommended and gain.n_won > gain.n_lost:
        n_more = _controls_more(gain, len(np.unique(group)), level)
    return Judged(rate_of(before, group, cell), rate_of(after, group, cell), gain, is_recommended, n_more)


def _controls_more(gain: Gain, n: int, level: float) -> int | None:
    """Visits more with which the sign test and the interval would show the gain, were all shares as they are."""
    n_more = np.arange(1, (_MOST_TIMES - 1) * n + 1)
    times = 1 + n_more / n
    won, lost = np.floor(gain.n_won * times), np.ceil(gain.n_lost * times)
    is_shown = stats.binom.sf(won - 1, won + lost, 0.5) < level
    is_shown &= (gain.value - gain.low) / times**0.5 < gain.value
    return int(n_more[is_shown.argmax()]) if is_shown.any() else None


class _Worker:
    """Tries one camera after the other."""

    def __init__(
        self,
        labelled: Labelled,
        shown: Shown,
        classifier: Classifier,
        view: View,
        pictures: Labelled,
        n_cameras: int,
    ) -> None:
        self.labelled, self.shown, self.classifier, self.view = labelled, shown, classifier, view
        self.pictures, self.n_cameras = pictures, n_cameras
        content = codes([row["content_sha256"] or row["target_id"] for row in labelled.rows])
        self.group = join_alike(labelled.visit, content, shown.thumbnails)
        self.is_control = np.array([row["is_control"] for row in labelled.rows], dtype=bool)
        self.right = right_names(labelled, classifier, shown.logits[view])

    def try_camera(self, camera: str) -> CameraTrial:
        began = time.perf_counter()
        is_here = np.array([row["camera"] == camera for row in self.labelled.rows])
        controls = np.flatnonzero(is_here & self.is_control)
        places = np.array([n for n, row in enumerate(self.pictures.rows) if row["camera"] == camera], dtype=np.int64)
        n_controls = len(np.unique(self.group[controls]))
        learnt = np.flatnonzero(~is_here & ~np.isin(self.group, self.group[controls]))
        missing = self._missing(n_controls, len(places), learnt)
        if missing:
            return CameraTrial(camera, len(places), n_controls, missing=missing)
        inputs, read = self._inputs(self.pictures.take(places))
        if len(read) < MIN_PICTURES:
            return CameraTrial(camera, len(read), n_controls, missing=f"{len(read)} of its pictures can be read")
        network = adapt(self.classifier, inputs, self._anchors(learnt), seed=0)
        given, kept = self._inputs(self.labelled.take(controls))
        controls = controls[kept]
        logits = run_network(network, given, self.classifier)[0].numpy()
        after = right_names(self.labelled.take(controls), self.classifier, logits)
        judged = judge_camera(
            self.right[controls], after, self.group[controls], self.labelled.truth[controls], self.n_cameras
        )
        expected = (self._expected(self.classifier.model, inputs), self._expected(network, inputs))
        return CameraTrial(camera, len(read), n_controls, judged, expected, seconds=time.perf_counter() - began)

    def _missing(self, n_controls: int, n_pictures: int, learnt: NDArray[np.int64]) -> str:
        least = least_controls(self.n_cameras)
        if n_controls < least:
            return f"label {least - n_controls} or more visits more of its random sample"
        if n_pictures < MIN_PICTURES:
            return f"{n_pictures} pictures of events without labels, {MIN_PICTURES} are needed"
        known = {name for name in self._names(learnt) if name in self.classifier.names}
        if len(known) < 2:
            return "other cameras have labels of fewer than 2 names of MODEL"
        return ""

    def _names(self, rows: NDArray[np.int64]) -> list[str]:
        return [self.labelled.rows[place]["true_id"] for place in rows.tolist()]

    def _anchors(self, learnt: NDArray[np.int64]) -> Anchors:
        place = {name: number for number, name in enumerate(self.classifier.names)}
        truth = np.array([place.get(name, -1) for name in self._names(learnt)], dtype=np.int64)
        features = self.shown.features[self.view][learnt]
        return Anchors.of(fit_class_means(features[truth >= 0], truth[truth >= 0], len(place)))

    def _inputs(self, targets: Labelled) -> tuple[Tensor, NDArray[np.int64]]:
        """(N, 3, H, W) of the targets that can be read, as the model is shown them, and their places."""
        classifier, view = self.classifier, self.view

        def prepare(row: Mapping[str, Any], image: Image.Image) -> Tensor | None:
            box = box_from_row(row)
            if view == View.WHOLE:
                return classifier.preprocess(image)
            return None if box is None else classifier.preprocess(crop_to_box(image, widened(box, MARGINS[view])))

        read = {place: made for place, made in iter_labelled(targets, prepare) if isinstance(made, Tensor)}
        order = sorted(read)
        height, width = classifier.spec.input.size
        inputs = torch.stack([read[place] for place in order]) if order else torch.zeros(0, 3, height, width)
        return inputs, np.array(order, dtype=np.int64)

    def _expected(self, network: nn.Module, inputs: Tensor) -> float:
        features = run_network(network, inputs, self.classifier)[1]
        return expected_right(self.classifier, features, last_layer(network))


@torch.no_grad()
def run_network(network: nn.Module, inputs: Tensor, classifier: Classifier) -> tuple[Tensor, Tensor]:
    """(N, K) logits and (N, D) features that the last layer reads, on the CPU."""
    with features_at(network, last_linear(network) or "") as read:
        logits = torch.cat([network(part).float().cpu() for part in classifier.passes(inputs)])
    return logits, torch.cat(read)


def last_layer(network: nn.Module) -> nn.Module:
    """The network's last linear layer; it has one (:func:`scd_core.improve.adapting.why_not_adapted`)."""
    return network.get_submodule(last_linear(network) or "")

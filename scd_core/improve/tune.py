"""Fine-tuning of the last blocks on crops: judged by the splits that judge every way, and fitted to all labels at the end."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from scd_core import __version__
from scd_core.errors import InputError, RunError
from scd_core.identify.class_means import Head
from scd_core.identify.classifier import Classifier
from scd_core.identify.fuse import fused_copy
from scd_core.identify.package import local_folder
from scd_core.improve.heads import Floats, fit_head
from scd_core.improve.labelled import Labelled
from scd_core.improve.names import HeadKind, View
from scd_core.improve.places import content_name
from scd_core.improve.show import Shown
from scd_core.improve.split import Split
from scd_core.improve.tune_copies import write_copies
from scd_core.improve.tune_network import part_network
from scd_core.improve.tune_state import TuneWork
from scd_core.improve.tune_training import Trainer, TuneSettings
from scd_core.improve.ways import Way

__all__ = ["FINE_TUNED", "MOST_PARTS", "TuneRequest", "Tuner", "join_folds", "tune_folder"]

FINE_TUNED = Way(View.BOX_CROP, HeadKind.FINE_TUNED)

MOST_PARTS = 5
"""Most trainings by which names in new places are judged: folds of a split are joined where it has more."""


@dataclass(frozen=True)
class TuneRequest:
    """A fine-tuning that is wanted."""

    folder: Path
    """Of its unfinished work; is made."""
    settings: TuneSettings = field(default_factory=TuneSettings)
    progress: Callable[[str, int, int], None] = lambda what, done, n: None
    """Called with what is being done, pictures done, and of all."""


def tune_folder(url: str) -> Path:
    """Where the unfinished work for a package that is to be written lies: beside it.

    Args:
        url: folder of the package, on a local disk.
    """
    folder = local_folder(url)
    return folder.with_name(f"{folder.name}.tuning")


class Tuner:
    """Trains the last blocks of the model on the labelled targets that have a box.

    Attributes:
        n_epochs: passes after which left-out cameras are named best; known once :meth:`left_out` has run.
    """

    def __init__(self, labelled: Labelled, shown: Shown, classifier: Classifier, request: TuneRequest) -> None:
        """Run the frozen part over copies of all pictures, or read what an earlier call made of them.

        Raises:
            InputError: the network has no linear layer that could be trained, or no picture has a box.
            RunError: the folder cannot be written, or the storage did not answer.
        """
        self.labelled, self.request = labelled, request
        self.has_box = shown.has_view.get(View.BOX_CROP, np.zeros(len(labelled.rows), bool))
        if shown.no_head or classifier.spec.program is not None:
            raise InputError(f"--fine-tune: {shown.no_head or 'MODEL is a program, whose blocks cannot be trained'}")
        if not self.has_box.any():
            raise InputError(
                "--fine-tune: no labelled picture has an animal's box: give `--detections` to `trapaudit run`"
            )
        began = time.perf_counter()
        settings = request.settings
        self.n_epochs = settings.epochs
        self._boxed = np.flatnonzero(self.has_box)
        self._place = np.cumsum(self.has_box) - 1
        some = labelled.take(self._boxed)
        work = TuneWork(request.folder, _key(labelled, classifier, settings))
        parted = part_network(classifier, len(labelled.names), settings.blocks)
        first = fused_copy(parted.first) if classifier.device.type == "cpu" else parted.first
        try:
            request.folder.mkdir(parents=True, exist_ok=True)
            given = write_copies(
                work.copies, some, classifier, first, settings.copies, self._counter("copies", len(some.rows))
            )
        except OSError as error:
            raise RunError(f"--fine-tune: {request.folder} cannot be written ({error})") from error
        start = {key: one.detach().clone() for key, one in parted.learning().items()}
        truth = labelled.truth[self._boxed]
        self._trainer = Trainer(parted, given, truth, settings, work, classifier.device, start)
        # Before a training changes the weights.
        self._features = np.stack(
            [self._trainer.features(np.arange(len(truth)), one) for one in range(settings.copies)], 1
        )
        self.seconds = time.perf_counter() - began

    def left_out(self, splits: tuple[Split, Split]) -> tuple[Floats, Floats]:
        """(N, K) scores of each target by a network that was trained without its camera's part, and without its group's.

        How many epochs are best is decided, for each part of the cameras, by the other parts: no name counts for the number of
        epochs that it is judged with.

        Args:
            splits: by place, and by visit.
        """
        began = time.perf_counter()
        by_place = join_folds(splits[0], MOST_PARTS)
        curves = [
            self._curve(f"place-{number}", *fold, self.request.settings.epochs, 1)
            for number, fold in enumerate(by_place)
        ]
        right = [self._n_right(curve, out, splits[0].counts) for curve, (_, out) in zip(curves, by_place, strict=True)]
        total = np.sum(right, axis=0)
        self.n_epochs = int(total.argmax()) + 1
        new = self._zeros()
        for curve, mine, (_, out) in zip(curves, right, by_place, strict=True):
            new[out] = curve[int((total - mine).argmax())]
        home = self._zeros()
        for number, fold in enumerate(splits[1]):
            home[fold[1]] = self._curve(f"visit-{number}", *fold, self.n_epochs, self.n_epochs)[-1]
        self.seconds += time.perf_counter() - began
        return new, home

    @cached_property
    def fitted(self) -> dict[str, Tensor]:
        """The tensors that learn, by their names in the network, trained on all targets; the head's among them."""
        places = np.arange(len(self._boxed))
        progress = self._counter("training on all", self.n_epochs * len(places))
        tensors, _ = self._trainer.train("all", places, self._head(places), self.n_epochs, progress=progress)
        return tensors

    def _curve(
        self, name: str, learnt: NDArray[np.int64], out: NDArray[np.int64], n_epochs: int, scored_from: int
    ) -> list[Floats]:
        """(M, K) scores of left-out targets after each epoch from `scored_from` on; zeros of those without a box."""
        chosen, judged = (self._place[one[self.has_box[one]]] for one in (learnt, out))
        blank = np.zeros((len(out), len(self.labelled.names)), np.float32)
        if len(np.unique(self._trainer.truth[chosen])) < 2:
            return [blank] * (n_epochs - scored_from + 1)
        progress = self._counter(f"training {name}", n_epochs * len(chosen))
        _, scores = self._trainer.train(name, chosen, self._head(chosen), n_epochs, judged, scored_from, progress)
        found = []
        for one in scores:
            full = blank.copy()
            full[self.has_box[out]] = one
            found.append(full)
        return found

    def _head(self, chosen: NDArray[np.int64]) -> Head:
        """The head that a training begins with: fitted to the model's own features of the same copies."""
        features = self._features[chosen]
        truth = np.repeat(self._trainer.truth[chosen], features.shape[1])
        return fit_head(HeadKind.LOGISTIC, features.reshape(len(truth), -1), truth, len(self.labelled.names))

    def _n_right(self, curve: list[Floats], out: NDArray[np.int64], counts: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Targets that are named rightly after each epoch, of those that are evidence."""
        is_right = np.stack([scores.argmax(1) == self.labelled.truth[out] for scores in curve])
        return (is_right & (counts & self.has_box)[out]).sum(1)

    def _zeros(self) -> Floats:
        return np.zeros((len(self.labelled.rows), len(self.labelled.names)), np.float32)

    def _counter(self, what: str, n: int) -> Callable[[int], None]:
        done = 0

        def count(more: int) -> None:
            nonlocal done
            done += more
            self.request.progress(what, done, n)

        return count


def join_folds(split: Split, most: int) -> tuple[tuple[NDArray[np.int64], NDArray[np.int64]], ...]:
    """Targets to learn from and targets left out, of at most so many parts: neighbouring folds of a split are left out together.

    >>> folds = tuple((np.array([one for one in range(6) if one != out]), np.array([out])) for out in range(6))
    >>> [out.tolist() for _, out in join_folds(Split(folds, np.ones(6, bool)), 3)]
    [[0, 1], [2, 3], [4, 5]]
    """
    found = []
    for part in np.array_split(np.arange(len(split.folds)), min(most, len(split.folds))):
        learnt = split.folds[part[0]][0]
        for number in part[1:]:
            learnt = np.intersect1d(learnt, split.folds[number][0])
        found.append((learnt, np.sort(np.concatenate([split.folds[number][1] for number in part]))))
    return tuple(found)


def _key(labelled: Labelled, classifier: Classifier, settings: TuneSettings) -> str:
    """Hash of the labels, their visits and cameras, the model, the settings and this program."""
    rows = [[content_name(row), row["camera"], str(row["visit"]), row["true_id"]] for row in labelled.rows]
    boxes = [[row[name] for name in ("bbox_x_min", "bbox_y_min", "bbox_width", "bbox_height")] for row in labelled.rows]
    content = [__version__, classifier.digest, str(classifier.device.type), asdict(settings), rows, boxes]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]

"""Classification of media rows: one prediction row per image, or per animal box where detections are given."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from PIL import Image

from scd_core.boxes import widened
from scd_core.config import AuditConfig, ClassifyConfig
from scd_core.errors import RunError
from scd_core.identify.classifier import Classifier
from scd_core.identify.pictures import crop_to_box
from scd_core.identify.preprocess import decode_size
from scd_core.identify.redaction import blank
from scd_core.identify.spec import InputSpec
from scd_core.identify.targets import Boxes, Targets, targets_of
from scd_core.identify.weighing import is_unknown, shifts_of, weighed
from scd_core.inputs.expected import Expected
from scd_core.media import MediaError
from scd_core.media.fetch import iter_prepared
from scd_core.names import UNKNOWN, PredictionStatus
from scd_core.tables.rows import Candidate, MediaRow, PredictionRow

__all__ = ["Naming", "Shifts", "classify_media", "name_from_logits"]

Shifts = Sequence[torch.Tensor | None] | None
"""For each picture what :func:`scd_core.identify.weighing.shift_of` gives; None for none."""


class Naming(Protocol):
    """What gives logits."""

    def __call__(
        self, batch: torch.Tensor, rows: Sequence[PredictionRow], shifts: Shifts = None
    ) -> tuple[torch.Tensor, list[PredictionRow]]:
        """Inputs (B, 3, H, W) and their rows -> logits (B, K), float32, on the CPU, and further columns of rows that are named.

        Shifts are not in the logits; they have a part in which name the columns are about.
        """


def classify_media(
    rows: Sequence[MediaRow],
    classifier: Classifier,
    source: str,
    config: AuditConfig,
    boxes: Boxes | None = None,
    naming: Naming | None = None,
    expected: Expected | None = None,
) -> list[PredictionRow]:
    """Name the individual in every image, or in every animal box.

    Persons and vehicles are filled with grey before the network sees the picture, and their boxes are kept in the rows, so
    that nothing that is drawn later shows them.

    Args:
        rows: media rows with status ``ok``.
        classifier: the model package in use.
        source: SOURCE of the rows.
        config: settings; boxes below ``classify.min_detection_confidence`` are left out.
        boxes: media file -> its detections; None classifies whole frames. `classify.without_entry` decides about an image
            without an entry.
        naming: what gives the logits, and more about each name, such as :class:`scd_core.masks.gradient.GradientNaming`; None
            takes the classifier's logits alone.
        expected: individuals that count as more probable at their place and time, by `classify.expected_weight`; None for none.

    Returns:
        Prediction rows in the order of `rows`. An image whose detections hold no animal, or that has no entry in them, a
        box that cannot be used, an image that cannot be read any more or that the detector failed on: each a row with
        `prediction_status` and `failure_reason`. `embedding` is what the head of the network reads of the picture, of any length,
        for known ones as well.
    """
    targets = {row["media_id"]: targets_of(row["file"], boxes, config.classify) for row in rows}
    predictions: list[PredictionRow] = []
    waiting = _Waiting(classifier, config.classify, naming or _plain(classifier))
    shift_at = shifts_of(classifier, expected, config.classify.expected_weight)
    wanted = [row for row in rows if targets[row["media_id"]].boxes]
    decoded = iter_prepared(
        wanted,
        source,
        config.media,
        lambda row, image: _inputs(targets[row["media_id"]], image, classifier),
        target_for=lambda row: _needed_size(targets[row["media_id"]], classifier.spec.input),
        ahead=config.classify.batch_size,
    )
    for row in rows:
        own = targets[row["media_id"]]
        if not own.boxes:
            predictions.append(own.unnamed_row(row, own.status, own.reason))
            continue
        found, prepared = next(decoded)
        if found["media_id"] != row["media_id"]:
            raise RunError(f"images came back out of order at {row['file']}")
        for place, box in enumerate(own.boxes):
            prediction = own.unnamed_row(row, PredictionStatus.FAILED, box=box)
            if box is not None and (margin := classifier.spec.input.box_margin):
                prediction["box_margin"] = margin
            predictions.append(prediction)
            if isinstance(prepared, MediaError):
                prediction["failure_reason"] = str(prepared)
            elif (tensor := prepared.targets[place]) is None:
                prediction["failure_reason"] = own.problem(box)
            else:
                waiting.add(prediction, tensor, shift_at(row), None if box is None else prepared.frame)
    waiting.finish()
    return predictions


def _needed_size(targets: Targets, spec: InputSpec) -> int | None:
    """Shorter side (pixels) to decode an image at, for the smallest of its targets; None for full size."""
    usable = [
        widened(box.clipped(), spec.box_margin or 0.0)[2:]
        for box in targets.boxes
        if box is not None and not box.problem()
    ]
    return decode_size(spec, min(usable, key=min) if usable else (1.0, 1.0))


@dataclass(frozen=True)
class _Inputs:
    """The network's inputs for an image."""

    targets: list[torch.Tensor | None]
    """For each target; None for one that cannot be used."""
    frame: torch.Tensor | None
    """The whole frame, where the model names boxes by it as well."""


def _inputs(targets: Targets, image: Image.Image, classifier: Classifier) -> _Inputs:
    shown = blank(image, targets.hidden or ())
    margin = classifier.spec.input.box_margin or 0.0
    found = [
        None
        if targets.problem(box)
        else classifier.preprocess(crop_to_box(shown, None if box is None else widened(box.clipped(), margin)))
        for box in targets.boxes
    ]
    return _Inputs(found, None if classifier.frame_head is None else classifier.preprocess(shown))


def _plain(classifier: Classifier) -> Naming:
    def name(
        batch: torch.Tensor, rows: Sequence[PredictionRow], shifts: Shifts = None
    ) -> tuple[torch.Tensor, list[PredictionRow]]:
        return classifier.logits(batch), [{} for _ in rows]

    return name


class _Waiting:
    """Fills in the names of prediction rows, a batch of inputs at a time."""

    def __init__(self, classifier: Classifier, config: ClassifyConfig, naming: Naming) -> None:
        self.classifier, self.config, self.naming = classifier, config, naming
        self._waiting: list[tuple[PredictionRow, torch.Tensor, torch.Tensor | None, torch.Tensor | None]] = []
        self._last_frame: tuple[torch.Tensor, torch.Tensor] | None = None

    def add(
        self,
        row: PredictionRow,
        tensor: torch.Tensor,
        shift: torch.Tensor | None = None,
        frame: torch.Tensor | None = None,
    ) -> None:
        """Name the row's (3, H, W) input, now or with those to come; with the (3, H, W) frame where it counts as well."""
        self._waiting.append((row, tensor, shift, frame))
        if len(self._waiting) == self.config.batch_size:
            self.finish()

    def finish(self) -> None:
        """Name all that wait; the pass that names them gives their features as well."""
        if not self._waiting:
            return
        rows, tensors, shifts, frames = zip(*self._waiting, strict=True)
        stacked = torch.stack(tensors)
        self._waiting.clear()
        of_frames = self._of_frames(frames)
        with self.classifier.reading_features() as read:
            named, more = self.naming(stacked, rows, shifts)
        # The first passes may have been a probe of the network; the pictures' own come last.
        found = torch.cat(read)[-len(rows) :] if read else stacked[:0]
        if len(found) != len(rows) and self.classifier.has_features:
            found = self.classifier.features(stacked)
        kept = found.tolist() if self.classifier.has_features else [None] * len(rows)
        for row, logits, own, columns, features, shift in zip(rows, named, of_frames, more, kept, shifts, strict=True):
            together = logits if own is None else logits + own
            row.update(name_from_logits(together, self.classifier, self.config.topk, shift))
            if row["prediction_status"] == PredictionStatus.OK:
                row.update(columns)
                row["embedding"] = features
                row["frame_logits"] = None if own is None else own.tolist()

    def _of_frames(self, frames: Sequence[torch.Tensor | None]) -> list[torch.Tensor | None]:
        """What each row's frame adds to its logits; a frame goes through the network once, also where its boxes are more than
        a batch."""
        different = {id(frame): frame for frame in frames if frame is not None}
        by_frame: dict[int, torch.Tensor] = {}
        if self._last_frame is not None and id(self._last_frame[0]) in different:
            by_frame[id(self._last_frame[0])] = self._last_frame[1]
        new = {number: frame for number, frame in different.items() if number not in by_frame}
        if new:
            found = self.classifier.frame_logits(torch.stack(list(new.values())))
            by_frame |= zip(new, found, strict=True)
        if different:
            number, frame = list(different.items())[-1]
            self._last_frame = frame, by_frame[number]  # held, so that no other frame gets its number
        return [None if frame is None else by_frame[id(frame)] for frame in frames]


def name_from_logits(
    logits: torch.Tensor, classifier: Classifier, topk: int, shift: torch.Tensor | None = None
) -> PredictionRow:
    """Columns of a prediction from one image's (K,) logits; a failed row where they are not finite.

    A logit of -inf is that of a class which the model leaves out: its probability is 0. `shift`: (K,), of expected individuals.
    """
    if bool((logits.isnan() | (logits == torch.inf)).any()) or not bool(logits.isfinite().any()):
        reason = "the model's logits are not finite for this image"
        return {"prediction_status": PredictionStatus.FAILED, "failure_reason": reason}
    alone = probabilities = classifier.probabilities(logits[None])[0]
    is_stranger = is_unknown(classifier.spec, float(alone.max()), float(logits.max()))
    if shift is not None:
        probabilities = classifier.probabilities(weighed(classifier, logits[None], [shift]))[0]
    best = torch.topk(probabilities, min(topk, len(probabilities)))
    candidates: list[Candidate] = [
        {"individual_id": classifier.names[index], "probability": value}
        for index, value in zip(best.indices.tolist(), best.values.tolist())
    ]
    top = candidates[0]["probability"]
    is_moved = bool(alone[best.indices[0]] < alone.max())
    entropy = -(probabilities * probabilities.clamp_min(1e-30).log()).sum().item() / math.log(len(probabilities))
    return {
        "prediction_status": PredictionStatus.OK,
        "failure_reason": None,
        "predicted_id": UNKNOWN if is_stranger else candidates[0]["individual_id"],
        "probability": top,
        "margin": top - torch.topk(probabilities, 2).values[1].item(),
        "entropy": min(1.0, max(0.0, entropy)),
        "topk": candidates,
        "unweighted_id": classifier.names[int(alone.argmax())] if is_moved else None,
    }

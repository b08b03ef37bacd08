"""What is classified in one image, and what must not be seen in it, given its detections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scd_core.boxes import WHOLE, Box
from scd_core.config import ClassifyConfig
from scd_core.identify.content import content_number
from scd_core.identify.redaction import hidden_boxes, hidden_columns, hidden_share
from scd_core.inputs.detections import Detection, Entry
from scd_core.names import PredictionStatus
from scd_core.tables.rows import MediaRow, PredictionRow

__all__ = ["Boxes", "Targets", "targets_of"]

Boxes = Mapping[str, Entry]
"""Media file -> what the detections hold about it; a medium without an entry is not in it."""

_MOST_HIDDEN = 0.5
"""An animal of which persons or vehicles cover a larger share is not named."""


@dataclass(frozen=True)
class Targets:
    """What is classified in one image."""

    boxes: Sequence[Detection | None]
    """None for the whole frame, its animal boxes, or nothing."""
    located: Box | None = None
    """The one box that holds all animals of a frame."""
    hidden: Sequence[Box] | None = None
    """Boxes of persons and vehicles; None where no detections are given."""
    status: PredictionStatus = PredictionStatus.NO_ANIMAL
    """Of the prediction where there is nothing to classify."""
    reason: str | None = None
    """Why there is nothing to classify."""

    def problem(self, box: Detection | None) -> str | None:
        """Why a target cannot be classified, in words; None where it can."""
        if box is not None and (problem := box.problem()):
            return problem
        place = box.clipped() if box is not None else self.located or WHOLE
        if hidden_share(place, self.hidden or ()) > _MOST_HIDDEN:
            return "boxes of persons or vehicles cover more than half of it"
        return None

    def unnamed_row(
        self, media: MediaRow, status: PredictionStatus, reason: str | None = None, box: Detection | None = None
    ) -> PredictionRow:
        """Prediction row of a target, or of an image without one, that has no name yet."""
        row: PredictionRow = {
            "target_id": media["media_id"] if box is None else f"{media['media_id']}:{box.detection_id}",
            "media_id": media["media_id"],
            "content_number": content_number(media, None if box is None else box.detection_id),
            "detection_id": None,
            "bbox_x_min": None,
            "prediction_status": status,
            "failure_reason": reason,
        }
        if self.hidden is not None:
            row["hidden_boxes"] = hidden_columns(self.hidden)
        place = self.located
        if box is not None:
            row["detection_id"], row["detection_confidence"] = box.detection_id, box.confidence
            place = box.bbox if box.problem() else box.clipped()
        if place is not None:
            row["bbox_x_min"], row["bbox_y_min"], row["bbox_width"], row["bbox_height"] = place
        return row


def targets_of(file: str, boxes: Boxes | None, config: ClassifyConfig) -> Targets:
    """What is classified in an image.

    Args:
        file: the image.
        boxes: what the detections hold about each image; None where no detections are given.
        config: which boxes count, whether boxes or whole frames are classified, and what becomes of an image without entry.
    """
    if boxes is None or (file not in boxes and config.without_entry == "name"):
        return Targets([None])
    if file not in boxes:
        reason = "the detections have no entry for this image, so nobody knows who is in it (classify.without_entry)"
        return Targets([], hidden=[WHOLE], status=PredictionStatus.NO_DETECTIONS, reason=reason)
    found = boxes[file]
    if found is None:
        return Targets([None], hidden=[])
    if isinstance(found, str):
        reason = f"the detections give nothing for this image ({found}), so nobody knows who is in it"
        return Targets([], hidden=[WHOLE], status=PredictionStatus.FAILED, reason=reason)
    least = config.min_detection_confidence
    hidden = hidden_boxes(found, least)
    # A confidence that is no number is not below the least: it becomes a failed row.
    animals = [box for box in found if box.is_animal and not box.confidence < least]
    if not animals and (hidden or config.box_use == "classify"):
        kinds = sorted({box.category for box in found if box.is_redacted and not box.confidence < least})
        only = f", only {', '.join(kinds)}" if kinds else ""
        return Targets([], hidden=hidden, reason=f"the detections have no animal for this image{only}")
    if config.box_use == "classify":
        return Targets(animals, hidden=hidden)
    return Targets([None], located=_around([box.clipped() for box in animals if not box.problem()]), hidden=hidden)


def _around(boxes: Sequence[Box]) -> Box | None:
    """The one box that holds all of some boxes; None for none."""
    if not boxes:
        return None
    left, top = min(x for x, _, _, _ in boxes), min(y for _, y, _, _ in boxes)
    right, bottom = max(x + w for x, _, w, _ in boxes), max(y + h for _, y, _, h in boxes)
    return left, top, right - left, bottom - top

"""Classification of media rows: one prediction row per image, or per animal box where detections are given."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image

from scd_core.boxes import WHOLE, Box
from scd_core.config import AuditConfig
from scd_core.errors import RunError
from scd_core.identify.classifier import Classifier
from scd_core.identify.pictures import crop_to_box
from scd_core.identify.preprocess import decode_size
from scd_core.identify.redaction import blank, hidden_boxes, hidden_columns, hidden_share
from scd_core.inputs.detections import Detection
from scd_core.media import MediaError
from scd_core.media.fetch import iter_prepared
from scd_core.names import Category

__all__ = ["UNKNOWN", "Boxes", "classify_media", "target_id", "unnamed_row"]

Boxes = Mapping[str, Sequence[Detection] | str]
"""Media file -> its detections, or why the detector gave none."""

UNKNOWN = "unknown"
"""Name of an individual that the classifier does not recognise as one it knows."""

_MOST_HIDDEN = 0.5
"""An animal of which persons or vehicles cover a larger share is not named."""


def target_id(media_id: str, detection_id: str | None) -> str:
    """Name of what is classified: a whole image, or one box of it."""
    return media_id if detection_id is None else f"{media_id}:{detection_id}"


def classify_media(
    rows: Sequence[Mapping[str, Any]],
    classifier: Classifier,
    source: str,
    config: AuditConfig,
    boxes: Boxes | None = None,
) -> list[dict[str, Any]]:
    """Name the individual in every image, or in every animal box.

    Persons and vehicles are filled with grey before the network sees the picture, and their boxes are kept in the rows, so
    that nothing that is drawn later shows them.

    Args:
        rows: media rows with status ``ok``.
        classifier: the model package in use.
        source: SOURCE of the rows.
        config: settings; boxes below ``classify.min_detection_confidence`` are left out.
        boxes: media file -> its detections; None classifies whole frames. An image without an entry is classified whole.

    Returns:
        Prediction rows in the order of `rows`. An image whose detections hold no animal, a box that cannot be used, an
        image that cannot be read any more or that the detector failed on: each a row with `prediction_status` and
        `failure_reason`.
    """
    predictions: list[dict[str, Any]] = []
    pending: list[tuple[dict[str, Any], torch.Tensor]] = []

    def flush() -> None:
        if pending:
            stacked = torch.stack([tensor for _, tensor in pending])
            for (row, _), row_logits in zip(pending, classifier.logits(stacked), strict=True):
                row.update(name_from_logits(row_logits, classifier, config.classify.topk))
            unknowns = [place for place, (row, _) in enumerate(pending) if row.get("predicted_id") == UNKNOWN]
            if unknowns:
                for place, embedded in zip(unknowns, classifier.embed(stacked[unknowns]), strict=True):
                    pending[place][0]["embedding"] = embedded.tolist()
            pending.clear()

    plans = {row["media_id"]: _plan(None if boxes is None else boxes.get(row["file"]), config) for row in rows}

    def needed_size(row: Mapping[str, Any]) -> int | None:
        usable = [box.clipped()[2:] for box in plans[row["media_id"]].targets if box is not None and not box.problem()]
        smallest = min(usable, key=min) if usable else (1.0, 1.0)
        return decode_size(classifier.spec.input, smallest)

    wanted = [row for row in rows if plans[row["media_id"]].targets]

    def inputs(row: Mapping[str, Any], image: Image.Image) -> list[torch.Tensor | None]:
        """The network's input for each target of an image; None for one that cannot be used."""
        plan = plans[row["media_id"]]
        shown = blank(image, plan.hidden or ())
        return [
            None
            if plan.problem(box)
            else classifier.preprocess(crop_to_box(shown, None if box is None else box.clipped()))
            for box in plan.targets
        ]

    ahead = config.classify.batch_size
    decoded = iter_prepared(wanted, source, config.media, inputs, target_for=needed_size, ahead=ahead)
    for row in rows:
        plan = plans[row["media_id"]]
        if not plan.targets:
            predictions.append(unnamed_row(row, plan.status, plan.reason) | plan.columns())
            continue
        found, prepared = next(decoded)
        if found["media_id"] != row["media_id"]:
            raise RunError(f"images came back out of order at {row['file']}")
        for place, box in enumerate(plan.targets):
            prediction = unnamed_row(row, "failed", None, box) | plan.columns(box)
            predictions.append(prediction)
            if isinstance(prepared, MediaError):
                prediction["failure_reason"] = str(prepared)
            elif (tensor := prepared[place]) is None:
                prediction["failure_reason"] = plan.problem(box)
            else:
                pending.append((prediction, tensor))
            if len(pending) == config.classify.batch_size:
                flush()
    flush()
    return predictions


@dataclass(frozen=True)
class _Plan:
    """What is classified in one image."""

    targets: Sequence[Detection | None]
    """None for the whole frame, its animal boxes, or nothing."""
    located: Box | None = None
    """The one box that holds all animals of a frame."""
    hidden: Sequence[Box] | None = None
    """Boxes of persons and vehicles; None where nobody told."""
    status: str = "no_animal"
    reason: str | None = None
    """Why there is no target."""

    def problem(self, box: Detection | None) -> str | None:
        """Why a target cannot be classified, in words; None where it can."""
        if box is not None and (problem := box.problem()):
            return problem
        place = box.clipped() if box is not None else self.located or WHOLE
        if hidden_share(place, self.hidden or ()) > _MOST_HIDDEN:
            return "boxes of persons or vehicles cover more than half of it"
        return None

    def columns(self, box: Detection | None = None) -> dict[str, Any]:
        """What the detections say of a target's frame."""
        told = {} if self.hidden is None else {"hidden_boxes": hidden_columns(self.hidden)}
        return told | (_box_columns(self.located) if box is None and self.located else {})


def _plan(found: Sequence[Detection] | str | None, config: AuditConfig) -> _Plan:
    if found is None:
        return _Plan([None])
    if isinstance(found, str):
        reason = f"the detector failed on this image ({found}), so nobody knows who is in it"
        return _Plan([], hidden=[WHOLE], status="failed", reason=reason)
    least = config.classify.min_detection_confidence
    hidden = hidden_boxes(found, least)
    # A confidence that is no number is not below the least: it becomes a failed row.
    animals = [box for box in found if box.category == Category.ANIMAL and not box.confidence < least]
    if not animals and (hidden or config.classify.box_use == "classify"):
        kinds = sorted({box.category for box in found if box.is_hidden and not box.confidence < least})
        only = f", only {', '.join(kinds)}" if kinds else ""
        return _Plan([], hidden=hidden, reason=f"the detections hold no animal in this image{only}")
    if config.classify.box_use == "classify":
        return _Plan(animals, hidden=hidden)
    return _Plan([None], located=_around([box.clipped() for box in animals if not box.problem()]), hidden=hidden)


def unnamed_row(
    media: Mapping[str, Any], status: str, reason: str | None, box: Detection | None = None
) -> dict[str, Any]:
    """Prediction row without a name."""
    row: dict[str, Any] = {
        "target_id": target_id(media["media_id"], box.detection_id if box else None),
        "media_id": media["media_id"],
        "prediction_status": status,
        "failure_reason": reason,
    }
    if box is not None:
        row |= {"detection_id": box.detection_id, "detection_confidence": box.confidence}
        row |= _box_columns(box.bbox if box.problem() else box.clipped())
    return row


def name_from_logits(logits: torch.Tensor, classifier: Classifier, topk: int) -> dict[str, Any]:
    """Columns of a prediction from one image's (K,) logits; a failed row where they are not finite."""
    if not bool(torch.isfinite(logits).all()):
        return {"prediction_status": "failed", "failure_reason": "the model's logits are not finite for this image"}
    probabilities = classifier.probabilities(logits[None])[0]
    best = torch.topk(probabilities, min(topk, len(probabilities)))
    candidates = [
        {"individual_id": classifier.names[index], "probability": value}
        for index, value in zip(best.indices.tolist(), best.values.tolist())
    ]
    top = candidates[0]["probability"]
    threshold = classifier.spec.unknown_threshold
    entropy = -(probabilities * probabilities.clamp_min(1e-30).log()).sum().item() / math.log(len(probabilities))
    return {
        "prediction_status": "ok",
        "failure_reason": None,
        "predicted_id": UNKNOWN if threshold is not None and top < threshold else candidates[0]["individual_id"],
        "probability": top,
        "margin": top - torch.topk(probabilities, 2).values[1].item(),
        "entropy": min(1.0, max(0.0, entropy)),
        "topk": candidates,
    }


def _around(boxes: Sequence[Box]) -> Box | None:
    """The one box that holds all of some boxes; None for none."""
    if not boxes:
        return None
    left, top = min(x for x, _, _, _ in boxes), min(y for _, y, _, _ in boxes)
    right, bottom = max(x + w for x, _, w, _ in boxes), max(y + h for _, y, _, h in boxes)
    return left, top, right - left, bottom - top


def _box_columns(box: Box) -> dict[str, float]:
    return dict(zip(("bbox_x_min", "bbox_y_min", "bbox_width", "bbox_height"), box))

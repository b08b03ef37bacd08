"""Classification of media rows: one prediction row per image, or per animal box where detections are given."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from PIL import Image

from scd_core.config import AuditConfig
from scd_core.errors import RunError
from scd_core.identify.classifier import Classifier
from scd_core.identify.detections import Detection
from scd_core.identify.preprocess import decode_size
from scd_core.media import MediaError
from scd_core.media.fetch import iter_prepared

__all__ = ["UNKNOWN", "classify_media", "crop_to_box", "target_id", "unnamed_row"]

UNKNOWN = "unknown"
"""Name of an individual that the classifier does not recognise as one it knows."""


def target_id(media_id: str, detection_id: str | None) -> str:
    """Name of what is classified: a whole image, or one box of it."""
    return media_id if detection_id is None else f"{media_id}:{detection_id}"


def classify_media(
    rows: Sequence[Mapping[str, Any]],
    classifier: Classifier,
    source: str,
    config: AuditConfig,
    boxes: Mapping[str, Sequence[Detection]] | None = None,
) -> list[dict[str, Any]]:
    """Name the individual in every image, or in every animal box.

    Args:
        rows: media rows with status ``ok``.
        classifier: the model package in use.
        source: SOURCE of the rows.
        config: settings; boxes below ``classify.min_detection_confidence`` are left out.
        boxes: media file -> its detections; None classifies whole frames. An image without an entry is classified whole.

    Returns:
        Prediction rows in the order of `rows`. An image whose detections hold no animal, a box that cannot be used, an
        image that cannot be read any more: each a row with `prediction_status` and `failure_reason`.
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

    targets = {row["media_id"]: _targets(row, boxes, config) for row in rows}

    def needed_size(row: Mapping[str, Any]) -> int | None:
        usable = [box.clipped()[2:] for box in targets[row["media_id"]] if box is not None and not box.problem()]
        smallest = min(usable, key=min) if usable else (1.0, 1.0)
        return decode_size(classifier.spec.input, smallest)

    wanted = [row for row in rows if targets[row["media_id"]]]

    def inputs(row: Mapping[str, Any], image: Image.Image) -> list[torch.Tensor | None]:
        """The network's input for each target of an image; None for a box that cannot be used."""
        return [
            None
            if box is not None and box.problem()
            else classifier.preprocess(crop_to_box(image, box.clipped() if box is not None else None))
            for box in targets[row["media_id"]]
        ]

    decoded = iter_prepared(wanted, source, config.media, inputs, target_for=needed_size)
    for row in rows:
        if not targets[row["media_id"]]:
            predictions.append(unnamed_row(row, "no_animal", "the detections hold no animal in this image"))
            continue
        found, prepared = next(decoded)
        if found["media_id"] != row["media_id"]:
            raise RunError(f"images came back out of order at {row['file']}")
        for place, box in enumerate(targets[row["media_id"]]):
            prediction = unnamed_row(row, "failed", None, box)
            if box is None and boxes is not None:
                prediction |= _located(boxes.get(row["file"], ()), config)
            predictions.append(prediction)
            if isinstance(prepared, MediaError):
                prediction["failure_reason"] = str(prepared)
            elif (tensor := prepared[place]) is None:
                prediction["failure_reason"] = box.problem() if box is not None else None
            else:
                pending.append((prediction, tensor))
            if len(pending) == config.classify.batch_size:
                flush()
    flush()
    return predictions


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
        x, y, width, height = box.bbox if box.problem() else box.clipped()
        row |= {"detection_id": box.detection_id, "detection_confidence": box.confidence}
        row |= _box_columns((x, y, width, height))
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


def crop_to_box(image: Image.Image, box: tuple[float, float, float, float] | None) -> Image.Image:
    """Part of a picture inside a relative box (x_min, y_min, width, height); the whole picture for None."""
    if box is None:
        return image
    x, y, width, height = box
    left, top = int(x * image.width), int(y * image.height)
    right = max(left + 1, round((x + width) * image.width))
    bottom = max(top + 1, round((y + height) * image.height))
    return image.crop((left, top, min(right, image.width), min(bottom, image.height)))


def _targets(
    row: Mapping[str, Any], boxes: Mapping[str, Sequence[Detection]] | None, config: AuditConfig
) -> list[Detection | None]:
    """What to classify in an image: [None] for the whole frame, its animal boxes, or nothing."""
    if boxes is None or row["file"] not in boxes or config.classify.box_use == "locate":
        return [None]
    return list(_animals(boxes[row["file"]], config))


def _animals(boxes: Sequence[Detection], config: AuditConfig) -> list[Detection]:
    """Boxes of animals that the detector is sure enough of; a NaN stays, as a failed row."""
    least = config.classify.min_detection_confidence
    return [box for box in boxes if box.category == "animal" and not box.confidence < least]


def _located(boxes: Sequence[Detection], config: AuditConfig) -> dict[str, float]:
    """Columns of the one box that holds all animals of a frame; none where there is no usable box."""
    usable = [box.clipped() for box in _animals(boxes, config) if not box.problem()]
    if not usable:
        return {}
    left, top = min(x for x, _, _, _ in usable), min(y for _, y, _, _ in usable)
    right, bottom = max(x + w for x, _, w, _ in usable), max(y + h for _, y, _, h in usable)
    return _box_columns((left, top, right - left, bottom - top))


def _box_columns(box: tuple[float, float, float, float]) -> dict[str, float]:
    return dict(zip(("bbox_x_min", "bbox_y_min", "bbox_width", "bbox_height"), box))

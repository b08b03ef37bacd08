"""Re-classification of masked predictions: rows of the table `reclassifications`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scd_core.boxes import WHOLE, Box
from scd_core.config import AuditConfig
from scd_core.identify.classifier import Classifier
from scd_core.identify.pictures import classified_box, iter_pictures, located_box
from scd_core.masks.rows import decode_mask
from scd_core.media import MediaError
from scd_core.reclassify.core import FUSED, Outcome, reclassify
from scd_core.reclassify.strategies import AWAY_SIDE, mask_crop_box

__all__ = ["reclassify_predictions"]

_CHUNK, _PIXELS = 16, 64_000_000
"""Most pictures, and pixels, held decoded at once."""


def reclassify_predictions(
    rows: Sequence[Mapping[str, Any]],
    masks: Mapping[str, Mapping[str, Any]],
    media: Mapping[str, Mapping[str, Any]],
    classifier: Classifier,
    source: str,
    config: AuditConfig,
) -> list[dict[str, Any]]:
    """Classify masked predictions again.

    Args:
        rows: prediction rows.
        masks: target_id -> mask row.
        media: media_id -> media row.
        classifier: the model package in use.
        source: SOURCE of the media.
        config: settings.

    Returns:
        For each row one row per strategy and one for the fused decision. Where there is no mask or no picture, the
        strategies are `failed` with the reason, and the fused row keeps the old name.
    """
    usable = [row for row in rows if masks[row["target_id"]]["mask_status"] == "ok"]
    maps = {row["target_id"]: decode_mask(masks[row["target_id"]]["mask_png"]) for row in usable}
    results: dict[str, list[dict[str, Any]]] = {
        row["target_id"]: _failed(row, masks[row["target_id"]].get("failure_reason") or "no mask", config)
        for row in rows
    }

    def crop_of(row: Mapping[str, Any]) -> tuple[float, float]:
        frame = media[row["media_id"]]
        crop = mask_crop_box(
            maps[row["target_id"]],
            _taken_size(row, frame),
            config.reclassify,
            input_size=classifier.spec.input.size,
            box=located_box(row),
        )
        return min(crop[2], AWAY_SIDE), min(crop[3], AWAY_SIDE)

    pending: list[tuple[Mapping[str, Any], Any]] = []

    def flush() -> None:
        outcomes = reclassify(
            classifier,
            [picture for _, picture in pending],
            [maps[row["target_id"]] for row, _ in pending],
            config.reclassify,
            config.classify.batch_size,
            boxes=[located_box(row) for row, _ in pending],
            is_box=[classified_box(row) is not None for row, _ in pending],
            sizes=[_taken_size(row, media[row["media_id"]]) for row, _ in pending],
        )
        for (row, _), some in zip(pending, outcomes, strict=True):
            results[row["target_id"]] = [_row(row, outcome, classifier) for outcome in some]
        pending.clear()

    for row, picture in iter_pictures(usable, media, source, config, classifier.spec.input, crop_of):
        if isinstance(picture, MediaError):
            results[row["target_id"]] = _failed(row, str(picture), config)
            continue
        pending.append((row, picture))
        if len(pending) == _CHUNK or sum(held.width * held.height for _, held in pending) > _PIXELS:
            flush()
    if pending:
        flush()
    return [result for row in rows for result in results[row["target_id"]]]


def _taken_size(row: Mapping[str, Any], frame: Mapping[str, Any]) -> tuple[int, int]:
    """Width and height of the classified picture in the frame as it was taken (pixels)."""
    _, _, width, height = classified_box(row) or WHOLE
    return max(1, round(width * frame["width"])), max(1, round(height * frame["height"]))


def _row(row: Mapping[str, Any], outcome: Outcome, classifier: Classifier) -> dict[str, Any]:
    if outcome.index is None:
        return _base(row, outcome.strategy) | {
            "strategy_status": "not_applicable",
            "is_flip": False,
            "reason": outcome.reason,
        }
    name = classifier.names[outcome.index]
    if outcome.strategy == FUSED and name == row["topk"][0]["individual_id"]:
        # A decision that keeps the name keeps `unknown` too: the picture's best candidate was not trusted before.
        name = row["predicted_id"]
    result = _base(row, outcome.strategy) | {
        "strategy_status": "ok",
        "predicted_id": name,
        "probability": outcome.probability,
        "is_flip": name != row["predicted_id"],
        "reason": outcome.reason or None,
    }
    if outcome.crop is not None:
        x, y, width, height = _in_frame(outcome.crop, classified_box(row))
        result |= {"crop_x_min": x, "crop_y_min": y, "crop_width": width, "crop_height": height}
    return result


def _in_frame(crop: Box, box: Box | None) -> Box:
    """A crop of the classified picture as a part of the whole frame."""
    if box is None:
        return crop
    return box[0] + crop[0] * box[2], box[1] + crop[1] * box[3], crop[2] * box[2], crop[3] * box[3]


def _failed(row: Mapping[str, Any], reason: str, config: AuditConfig) -> list[dict[str, Any]]:
    failed = [
        _base(row, strategy) | {"strategy_status": "failed", "is_flip": False, "reason": reason}
        for strategy in config.reclassify.strategies
    ]
    kept = {
        "strategy_status": "ok",
        "predicted_id": row["predicted_id"],
        "probability": row["probability"],
        "is_flip": False,
        "reason": f"kept: {reason}",
    }
    return [*failed, _base(row, FUSED) | kept]


def _base(row: Mapping[str, Any], strategy: str) -> dict[str, Any]:
    return {
        "target_id": row["target_id"],
        "media_id": row["media_id"],
        "detection_id": row["detection_id"],
        "strategy": strategy,
    }

"""Re-classification of masked predictions: rows of the table `reclassifications`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from scd_core.boxes import WHOLE, Box, classified_box, located_box
from scd_core.config import AuditConfig, ReclassifyConfig
from scd_core.identify.classifier import Classifier
from scd_core.identify.pictures import best_candidate, iter_pictures
from scd_core.identify.spec import InputSpec
from scd_core.identify.weighing import shift_again, shifts_of
from scd_core.inputs.expected import Expected
from scd_core.masks.rows import fit_named
from scd_core.media import MediaError
from scd_core.names import MaskStatus, Strategy, StrategyStatus
from scd_core.reclassify.core import Outcome, reclassify
from scd_core.reclassify.given import kept_given, other_names
from scd_core.reclassify.strategies import AWAY_SIDE, MaskedPicture, mask_crop_box
from scd_core.tables.mask_png import decode_mask, encode_mask
from scd_core.tables.rows import MaskRow, MediaRow, PredictionRow, ReclassificationRow

__all__ = ["crop_in_frame", "masked_picture", "reclassify_predictions", "smallest_crop"]

_CHUNK, _PIXELS = 16, 64_000_000
"""Most pictures, and pixels, held decoded at once."""


def reclassify_predictions(
    rows: Sequence[PredictionRow],
    masks: Mapping[str, MaskRow],
    media: Mapping[str, MediaRow],
    classifier: Classifier,
    source: str,
    config: AuditConfig,
    expected: Expected | None = None,
) -> list[ReclassificationRow]:
    """Classify masked predictions again.

    Args:
        rows: prediction rows.
        masks: target_id -> mask row.
        media: media_id -> media row.
        classifier: the model package in use.
        source: SOURCE of the media.
        config: settings.
        expected: individuals that counted as more probable when the pictures were named, and do again; None for none.

    Returns:
        For each row one row per strategy and one for the fused decision. Where there is no mask or no picture, the
        strategies are `failed` with the reason, and the fused row keeps the old name.
    """
    found = {row["target_id"]: masks[row["target_id"]] for row in rows}
    maps = {
        target: decode_mask(mask["mask_png"])
        for target, mask in found.items()
        if mask["mask_status"] == MaskStatus.OK and mask["mask_png"] is not None
    }
    usable = [row for row in rows if row["target_id"] in maps]
    results: dict[str, list[ReclassificationRow]] = {
        row["target_id"]: _failed(row, masks[row["target_id"]].get("failure_reason") or "no mask", config)
        for row in rows
    }

    def crop_of(row: PredictionRow) -> tuple[float, float]:
        return smallest_crop(
            row, media[row["media_id"]], maps[row["target_id"]], classifier.spec.input, config.reclassify
        )

    pending: list[tuple[PredictionRow, MaskedPicture]] = []
    shift_at = shifts_of(classifier, expected, config.classify.expected_weight)

    def flush() -> None:
        results.update(_classified_again(pending, classifier, config))
        pending.clear()

    for row, picture in iter_pictures(usable, media, source, config, classifier.spec.input, crop_of):
        if isinstance(picture, MediaError):
            results[row["target_id"]] = _failed(row, str(picture), config)
            continue
        frame = media[row["media_id"]]
        masked = masked_picture(row, frame, picture, maps[row["target_id"]], classifier.spec.input)
        pending.append((row, replace(masked, shift=shift_again(row, shift_at(frame)))))
        if len(pending) == _CHUNK or sum(math.prod(held.picture.size) for _, held in pending) > _PIXELS:
            flush()
    if pending:
        flush()
    return [result for row in rows for result in results[row["target_id"]]]


def _classified_again(
    pending: Sequence[tuple[PredictionRow, MaskedPicture]], classifier: Classifier, config: AuditConfig
) -> dict[str, list[ReclassificationRow]]:
    """target_id -> its rows; masks with other noise are fitted where another name is given, or is near its limits."""
    spent: Counter[int] = Counter()

    def again(places: Sequence[int], noise: int) -> dict[int, NDArray[np.float32]]:
        rows, masked = zip(*(pending[place] for place in places), strict=True)
        masks, _ = fit_named(rows, torch.stack([one.tensor for one in masked]), classifier, config, noise)
        spent.update(dict(zip(places, masks.evaluations.tolist(), strict=True)))
        # Rounded as the first one is, which was stored.
        return {
            place: decode_mask(encode_mask(masks.joint[number].float().cpu().numpy()))
            for number, place in enumerate(places)
            if number not in masks.failures
        }

    pictures = [masked for _, masked in pending]
    outcomes = reclassify(classifier, pictures, config.reclassify, config.classify.batch_size, again)
    found: dict[str, list[ReclassificationRow]] = {}
    for place, ((row, _), some) in enumerate(zip(pending, outcomes, strict=True)):
        found[row["target_id"]] = [_row(row, outcome, classifier) for outcome in some]
        found[row["target_id"]][-1]["second_evaluations"] = spent.get(place)
    of_target = {row["target_id"]: row for row, _ in pending}
    others = other_names(list(of_target.values()), [masked.tensor for _, masked in pending], classifier)
    for target, own in others.items():
        found[target] = [kept_given(of_target[target], result, own) for result in found[target]]
    return found


def masked_picture(
    row: Mapping[str, Any], frame: Mapping[str, Any], picture: Image.Image, mask: NDArray[np.floating], spec: InputSpec
) -> MaskedPicture:
    """The picture of a prediction row with its mask, as strategies take it.

    Args:
        row: prediction row.
        frame: its media row.
        picture: the classified picture (the frame, or the box).
        mask: (h, w) joint map.
        spec: the network's input.
    """
    is_box = classified_box(row) is not None
    return MaskedPicture(picture, mask, spec, _taken_size(row, frame), located_box(row), is_box)


def smallest_crop(
    row: Mapping[str, Any],
    frame: Mapping[str, Any],
    mask: NDArray[np.floating],
    spec: InputSpec,
    config: ReclassifyConfig,
) -> tuple[float, float]:
    """Width and height of the smallest crop that strategies cut from a picture, as shares of it; arguments as above."""
    crop = mask_crop_box(mask, _taken_size(row, frame), config, input_size=spec.size, box=located_box(row))
    return min(crop[2], AWAY_SIDE), min(crop[3], AWAY_SIDE)


def _taken_size(row: Mapping[str, Any], frame: Mapping[str, Any]) -> tuple[int, int]:
    """Width and height of the classified picture in the frame as it was taken (pixels)."""
    _, _, width, height = classified_box(row) or WHOLE
    return max(1, round(width * frame["width"])), max(1, round(height * frame["height"]))


def _row(row: PredictionRow, outcome: Outcome, classifier: Classifier) -> ReclassificationRow:
    if outcome.index is None:
        return _base(row, outcome.strategy) | {
            "strategy_status": StrategyStatus.NOT_APPLICABLE,
            "is_flip": False,
            "reason": outcome.reason,
        }
    name: str | None = classifier.names[outcome.index]
    if outcome.strategy == Strategy.FUSED and name == best_candidate(row):
        # A decision that keeps the name keeps `unknown` too: the picture's best candidate was not trusted before.
        name = row["predicted_id"]
    result: ReclassificationRow = _base(row, outcome.strategy) | {
        "strategy_status": StrategyStatus.OK,
        "predicted_id": name,
        "probability": outcome.probability,
        "is_flip": name != row["predicted_id"],
        "reason": outcome.reason or None,
    }
    if outcome.crop is not None:
        x, y, width, height = crop_in_frame(outcome.crop, classified_box(row))
        result |= {"crop_x_min": x, "crop_y_min": y, "crop_width": width, "crop_height": height}
    return result


def crop_in_frame(crop: Box, box: Box | None) -> Box:
    """A crop of the classified picture as a part of the whole frame."""
    if box is None:
        return crop
    return box[0] + crop[0] * box[2], box[1] + crop[1] * box[3], crop[2] * box[2], crop[3] * box[3]


def _failed(row: PredictionRow, reason: str, config: AuditConfig) -> list[ReclassificationRow]:
    failed = [
        _base(row, strategy) | {"strategy_status": StrategyStatus.FAILED, "is_flip": False, "reason": reason}
        for strategy in config.reclassify.strategies
    ]
    kept: ReclassificationRow = {
        "strategy_status": StrategyStatus.OK,
        "predicted_id": row["predicted_id"],
        "probability": row["probability"],
        "is_flip": False,
        "reason": f"kept: {reason}",
    }
    return [*failed, _base(row, Strategy.FUSED) | kept]


def _base(row: PredictionRow, strategy: Strategy) -> ReclassificationRow:
    return {
        "target_id": row["target_id"],
        "media_id": row["media_id"],
        "detection_id": row["detection_id"],
        "strategy": strategy,
    }

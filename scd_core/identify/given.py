"""Prediction rows from names that another tool gave: the same rows as a network's, without pixels and without torch."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from scd_core.boxes import WHOLE, Box
from scd_core.config import ClassifyConfig
from scd_core.identify.targets import Boxes, Targets, targets_of
from scd_core.inputs.detection import Detection
from scd_core.inputs.predictions import Given, GivenEntry
from scd_core.names import (
    UNKNOWN,
    Category,
    GradientRegion,
    MaskMethod,
    MaskStatus,
    PredictionStatus,
    Strategy,
    StrategyStatus,
)
from scd_core.tables.rows import Candidate, MaskRow, MediaRow, PredictionRow, ReclassificationRow

__all__ = ["NO_NETWORK", "given_rows", "no_decisions", "no_masks", "of_classes"]

NO_NETWORK = "the names are of a file of predictions; a mask needs the network that gave them (--model)"
"""Why there is no mask where names were given and no model."""


def given_rows(
    rows: Sequence[MediaRow], names: Mapping[str, GivenEntry], config: ClassifyConfig, boxes: Boxes | None = None
) -> list[PredictionRow]:
    """Prediction rows of media whose names another tool gave.

    Persons and vehicles, as boxes or as names, are kept in `hidden_boxes`, so that nothing that is drawn later shows them.

    Args:
        rows: media rows with status ``ok``.
        names: media file -> what the tool gave.
        config: settings; boxes below ``min_detection_confidence`` are left out.
        boxes: media file -> its detections; None where none are known.

    Returns:
        Prediction rows in the order of `rows`, each medium at least one: ``not_named`` where the tool gave it, or its box, no
        name, ``failed`` where what it gave cannot be used, ``no_animal`` where it found none or a person; with the reason.
    """
    settings = config.model_copy(update={"box_use": "locate", "without_entry": "skip"})
    found: list[PredictionRow] = []
    for row in rows:
        entry = names.get(row["file"])
        found += _of_picture(row, entry, _targets(row["file"], entry, boxes, settings), config)
    return found


def _targets(file: str, entry: GivenEntry | None, boxes: Boxes | None, config: ClassifyConfig) -> Targets:
    """Where animals are and what is hidden: what the detections show, and persons that the names alone show."""
    own = targets_of(file, boxes, config)
    of_names: list[Box] = []
    for one in entry if isinstance(entry, tuple) else ():
        if one.hidden:
            box = _detection(one)
            of_names.append(WHOLE if box is None or box.place_problem() else box.clipped())
    return (
        Targets(own.boxes, own.located, [*(own.hidden or ()), *of_names], own.status, own.reason) if of_names else own
    )


def _of_picture(
    media: MediaRow, entry: GivenEntry | None, targets: Targets, config: ClassifyConfig
) -> list[PredictionRow]:
    if entry is None:
        reason = "the predictions have no entry for this picture"
        return [targets.unnamed_row(media, PredictionStatus.NOT_NAMED, reason)]
    if isinstance(entry, str):
        return [
            targets.unnamed_row(
                media, PredictionStatus.FAILED, f"the predictions give nothing that can be used: {entry}"
            )
        ]
    kept = [one for one in entry if one.confidence is None or not one.confidence < config.min_detection_confidence]
    animals = [one for one in kept if one.hidden is None]
    if not animals:
        kinds = sorted({str(one.hidden) for one in kept if one.hidden})
        only = f", only {', '.join(kinds)}" if kinds else ""
        reason = targets.reason or f"the predictions have no animal for this picture{only}"
        return [targets.unnamed_row(media, PredictionStatus.NO_ANIMAL, reason)]
    if not targets.boxes and targets.status is PredictionStatus.NO_ANIMAL and all(one.bbox is None for one in animals):
        return [targets.unnamed_row(media, PredictionStatus.NO_ANIMAL, targets.reason)]
    return [_row(media, one, targets, config.topk) for one in animals]


def _row(media: MediaRow, given: Given, targets: Targets, topk: int) -> PredictionRow:
    box = _detection(given)
    row = targets.unnamed_row(media, PredictionStatus.FAILED, box=box)
    if given.confidence is None:
        row["detection_confidence"] = None
    if not given.candidates and given.problem is None:
        row["prediction_status"] = PredictionStatus.NOT_NAMED
        row["failure_reason"] = given.nameless or "the predictions give it no name"
        return row
    row["failure_reason"] = given.problem or targets.problem(box)
    return row if row["failure_reason"] else row | name_columns(given, topk)


def name_columns(given: Given, topk: int) -> PredictionRow:
    """Columns of a prediction from a name that was given.

    What the tool does not give is null: the probability, the margin where there is no second name, the entropy.
    """
    name, probability = given.candidates[0]
    second = given.candidates[1][1] if len(given.candidates) > 1 else None
    candidates: list[Candidate] = [
        {"individual_id": other, "probability": certain} for other, certain in given.candidates if certain is not None
    ]
    return {
        "prediction_status": PredictionStatus.OK,
        "failure_reason": None,
        "predicted_id": name,
        "probability": probability,
        "margin": None if probability is None or second is None else probability - second,
        "entropy": None,
        "topk": [one for one in candidates if one["individual_id"] != UNKNOWN][:topk]
        if probability is not None
        else [],
        "gradient_region": GradientRegion.NO_NETWORK,
    }


def _detection(given: Given) -> Detection | None:
    """The name's box; one whose detector gave no confidence counts as sure."""
    if given.bbox is None:
        return None
    confidence = 1.0 if given.confidence is None else given.confidence
    return Detection(given.detection_id or "0", str(Category.ANIMAL), confidence, given.bbox)


def of_classes(
    rows: Sequence[PredictionRow], classes: Collection[str]
) -> tuple[list[PredictionRow], list[PredictionRow]]:
    """Rows whose name is a class of a model, and the others: another tool may give names that the model does not have."""
    from scd_core.identify.pictures import best_candidate

    known = [row for row in rows if best_candidate(row) in classes]
    return known, [row for row in rows if best_candidate(row) not in classes]


def no_masks(rows: Sequence[PredictionRow], reason: str | None = None) -> list[MaskRow]:
    """Rows of the table `masks` of names that no network here gives.

    Args:
        rows: selected prediction rows.
        reason: why; None is that the model has no class of the name.
    """
    return [
        {
            "target_id": row["target_id"],
            "media_id": row["media_id"],
            "detection_id": row["detection_id"],
            "method": MaskMethod.SCD,
            "mask_status": MaskStatus.NOT_AVAILABLE,
            "predicted_id": row["predicted_id"],
            "failure_reason": reason
            or f"the model has no class {row['predicted_id']!r}, so it cannot show its evidence",
        }
        for row in rows
    ]


def no_decisions(masks: Sequence[MaskRow]) -> list[ReclassificationRow]:
    """One row of the table `reclassifications` for each mask that is not available: the name stays."""
    return [
        {
            "target_id": row["target_id"],
            "media_id": row["media_id"],
            "detection_id": row["detection_id"],
            "strategy": Strategy.FUSED,
            "strategy_status": StrategyStatus.NOT_AVAILABLE,
            "is_flip": False,
            "reason": row["failure_reason"],
        }
        for row in masks
    ]

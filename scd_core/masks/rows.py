"""Masks of prediction rows: pictures in, rows of the table `masks` out."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from scd_core.boxes import Box, located_box, pixel_box
from scd_core.config import AuditConfig
from scd_core.identify.classifier import Classifier
from scd_core.identify.content import draw_name
from scd_core.identify.pictures import best_candidate, iter_pictures
from scd_core.identify.weighing import frames_of
from scd_core.masks.engine import fit_masks
from scd_core.masks.reliance import COMPARED_SIZE, Band, animal_mask, find_strips, log_odds_drop, strip_mask
from scd_core.masks.result import Masks
from scd_core.masks.settings import mask_settings
from scd_core.media import MediaError
from scd_core.names import MaskMethod, MaskStatus
from scd_core.tables.mask_png import encode_mask
from scd_core.tables.rows import MaskRow, MediaRow, PredictionRow

__all__ = ["fit_named", "mask_predictions", "mask_seed", "mass_columns"]

_MIDDLE: Box = (0.125, 0.125, 0.75, 0.75)
"""The picture without an eighth at each border."""


def mask_predictions(
    rows: Sequence[PredictionRow],
    media: Mapping[str, MediaRow],
    classifier: Classifier,
    source: str,
    config: AuditConfig,
    overlay_frames: Sequence[PredictionRow] = (),
) -> list[MaskRow]:
    """Fit masks for the names that predictions were given.

    Args:
        rows: selected prediction rows.
        media: media_id -> media row, of the overlay frames as well.
        classifier: the model package in use.
        source: SOURCE of the media.
        config: settings; `triage.seed` seeds each mask together with the content of its target.
        overlay_frames: rows of :func:`scd_core.masks.overlay_frames.choose_overlay_frames`, in which burned-in strips are
            found; of a deployment without one, nothing is known of strips.

    Returns:
        One mask row per prediction row, in order; `mask_status` `failed` or `not_available` with a reason where there is no mask.
    """
    results: dict[str, MaskRow] = {}
    pending: list[tuple[PredictionRow, Tensor]] = []
    for row, picture in iter_pictures(rows, media, source, config, classifier.spec.input):
        results[row["target_id"]] = _failed(row, config.triage.seed)
        if isinstance(picture, MediaError):
            results[row["target_id"]]["failure_reason"] = str(picture)
        else:
            pending.append((row, classifier.preprocess(picture)))
    if pending:
        off = classifier.unequal(torch.stack([tensor for _, tensor in pending]))
        for place, largest in off.items():
            reason = f"in PyTorch the ONNX model's logits of this picture differ by {largest:.2g}, so a mask would explain others"
            lacking = results[pending[place][0]["target_id"]]
            lacking["mask_status"], lacking["failure_reason"] = MaskStatus.NOT_AVAILABLE, reason
        pending = [one for place, one in enumerate(pending) if place not in off]
    if pending:
        strips = _strips(overlay_frames, media, classifier, source, config)
        bands = [strips.get(media[row["media_id"]].get("deployment_id") or "") for row, _ in pending]
        for place, found in enumerate(_fitted(pending, bands, classifier, config)):
            results[pending[place][0]["target_id"]] |= found
    return [results[row["target_id"]] for row in rows]


def fit_named(
    rows: Sequence[PredictionRow], images: Tensor, classifier: Classifier, config: AuditConfig, noise: int = 0
) -> tuple[Masks, Tensor]:
    """Fit the mask of each row's best candidate, the name that it was given.

    What the whole frame adds to the logits of a box, where the model names by both, stays under every mask.

    Args:
        rows: N prediction rows.
        images: (N, 3, H, W) normalised.
        classifier: the model package in use.
        config: settings; `triage.seed` seeds each mask together with the content of its target.
        noise: number of the mask's noise; stored masks have 0.

    Returns:
        The masks, with what could not be fitted in `failures`, and the (N,) class of each.
    """
    logits = torch.cat([classifier.logits(part) for part in images.split(config.classify.batch_size)])
    added = frames_of(rows, logits)
    targets = classifier.best_class(
        logits if added is None else logits + added, [best_candidate(row) or "" for row in rows]
    )
    seeds = torch.tensor([mask_seed(draw_name(row), config.triage.seed, noise) for row in rows])
    settings = mask_settings(config.masks)
    with classifier.lock:
        masks = fit_masks(
            classifier.model, images.to(classifier.device), targets, settings, seeds, added=added, on_error="record"
        )
    return masks, targets


def _failed(row: PredictionRow, seed: int) -> MaskRow:
    return {
        "target_id": row["target_id"],
        "media_id": row["media_id"],
        "detection_id": row["detection_id"],
        "method": MaskMethod.SCD,
        "predicted_id": best_candidate(row),
        "seed": mask_seed(draw_name(row), seed),
        "mask_status": MaskStatus.FAILED,
    }


def _strips(
    overlay_frames: Sequence[PredictionRow],
    media: Mapping[str, MediaRow],
    classifier: Classifier,
    source: str,
    config: AuditConfig,
) -> dict[str, list[Band] | None]:
    """deployment_id -> the strips that its camera burns into its pictures; None where that is not known."""
    frames: dict[str, list[Image.Image]] = defaultdict(list)
    for row, picture in iter_pictures(overlay_frames, media, source, config, classifier.spec.input):
        if not isinstance(picture, MediaError):
            small = picture.resize(COMPARED_SIZE, Image.Resampling.BOX)
            frames[media[row["media_id"]]["deployment_id"] or ""].append(small)
    return {deployment: find_strips(seen) for deployment, seen in frames.items()}


def _fitted(
    pending: Sequence[tuple[PredictionRow, Tensor]],
    strips: Sequence[list[Band] | None],
    classifier: Classifier,
    config: AuditConfig,
) -> Iterator[MaskRow]:
    """The mask's columns of each picture that could be read, in order."""
    stacked = torch.stack([tensor for _, tensor in pending])
    masks, targets = fit_named([row for row, _ in pending], stacked, classifier, config)
    settings = mask_settings(config.masks)
    boxes = [located_box(row) for row, _ in pending]
    bands = [found if row["detection_id"] is None else None for found, (row, _) in zip(strips, pending, strict=True)]
    shape = stacked.shape[-2:]
    without_background = [None if box is None else animal_mask(box, shape) for box in boxes]
    without_strips = [1 - strip_mask(found, shape) if found else None for found in bands]
    drops, overlay_drops = (
        _drops(keeps, stacked, targets, classifier, config, settings.infill_sigma)
        for keeps in (without_background, without_strips)
    )
    for place, box in enumerate(boxes):
        if place in masks.failures:
            yield {"failure_reason": masks.failures[place]}
            continue
        joint = masks.joint[place].float().cpu().numpy()
        yield {
            "mask_status": MaskStatus.OK,
            "mask_png": encode_mask(joint),
            "ssr_probability": float(masks.ssr_probability[place]),
            "sdr_probability": float(masks.sdr_probability[place]),
            "area": float(masks.area[place]),
            **mass_columns(joint, box),
            "background_log_odds_drop": drops.get(place),
            "overlay_reliance": _mass_on_strips(joint, bands[place]),
            "overlay_log_odds_drop": overlay_drops.get(place),
            "iterations": int(masks.iterations[place]),
            "evaluations": int(masks.evaluations[place]),
            "is_converged": bool(masks.converged[place]),
        }


def mass_columns(joint: NDArray[np.floating], box: Box | None) -> MaskRow:
    """Where the mass of a (h, w) map lies: `border_mass`, and `mass_in_box` and `background_reliance` where a box is known."""
    inside = None if box is None else _mass_in(joint, box)
    return {
        "border_mass": 1.0 - _mass_in(joint, _MIDDLE),
        "mass_in_box": inside,
        "background_reliance": None if inside is None else 1.0 - inside,
    }


def mask_seed(name: str, seed: int, noise: int = 0) -> int:
    """Seed of the mask of a target, by what it is drawn by (:func:`draw_name`): the same whatever shares its shard.

    Another number of `noise` gives another seed of the same target.
    """
    text = f"mask:{seed}:{name}" + (f":{noise}" if noise else "")
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1


def _drops(
    keeps: Sequence[Tensor | None],
    images: Tensor,
    targets: Tensor,
    classifier: Classifier,
    config: AuditConfig,
    sigma: float,
) -> dict[int, float]:
    """Place of each image with something to replace -> fall of its name's log-odds when that is blurred away."""
    wanted = [(place, keep) for place, keep in enumerate(keeps) if keep is not None]
    drops: dict[int, float] = {}
    size = max(1, config.classify.batch_size // 2)
    for start in range(0, len(wanted), size):
        some = wanted[start : start + size]
        chosen = [place for place, _ in some]
        keep = torch.stack([one for _, one in some])
        found = log_odds_drop(
            classifier, images[chosen], targets[chosen], keep, mask_settings(config.masks).infill_sigma
        )
        drops |= zip(chosen, found.tolist())
    return drops


def _mass_on_strips(joint: NDArray[np.floating], bands: Sequence[Band] | None) -> float | None:
    """Share of a map's mass on strips; 0 where there are none, None where it is not known."""
    if bands is None:
        return None
    return sum(_mass_in(joint, (0.0, top, 1.0, bottom - top)) for top, bottom in bands) if bands else 0.0


def _mass_in(joint: NDArray[np.floating], box: Box) -> float:
    """Share of a map's mass inside a relative box; 0 for an empty map."""
    height, width = joint.shape
    left, top, right, bottom = pixel_box(box, width, height)
    total = float(joint.sum(dtype=np.float64))
    return float(joint[top:bottom, left:right].sum(dtype=np.float64)) / total if total > 0 else 0.0

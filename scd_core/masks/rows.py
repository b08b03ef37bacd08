"""Masks of prediction rows: pictures in, rows of the table `masks` out."""

from __future__ import annotations

import hashlib
import io
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from scd_core.boxes import Box, pixel_box
from scd_core.config import AuditConfig
from scd_core.identify.classifier import Classifier
from scd_core.identify.pictures import iter_pictures, located_box
from scd_core.masks.engine import fit_masks
from scd_core.masks.reliance import COMPARED_SIZE, animal_mask, find_strips, log_odds_drop, strip_mask
from scd_core.masks.settings import mask_settings
from scd_core.media import MediaError

__all__ = ["decode_mask", "encode_mask", "mask_predictions", "mask_seed"]

METHOD = "scd"


def mask_predictions(
    rows: Sequence[Mapping[str, Any]],
    media: Mapping[str, Mapping[str, Any]],
    classifier: Classifier,
    source: str,
    config: AuditConfig,
    witnesses: Sequence[Mapping[str, Any]] = (),
) -> list[dict[str, Any]]:
    """Fit masks for the names that predictions were given.

    Args:
        rows: selected prediction rows.
        media: media_id -> media row, of the witnesses as well.
        classifier: the model package in use.
        source: SOURCE of the media.
        config: settings; `triage.seed` seeds each mask together with its target.
        witnesses: rows of :func:`scd_core.masks.overlay_frames.strip_witnesses`, by which burned-in strips are found; of a
            deployment without one, nothing is said of strips.

    Returns:
        One mask row per prediction row, in order; `mask_status` `failed` with a reason where there is no mask.
    """
    settings = mask_settings(config.masks)
    results: dict[str, dict[str, Any]] = {}
    pending: list[tuple[Mapping[str, Any], torch.Tensor]] = []
    for row, picture in iter_pictures(rows, media, source, config, classifier.spec.input):
        base = {"target_id": row["target_id"], "media_id": row["media_id"], "detection_id": row["detection_id"]}
        seed = mask_seed(row["target_id"], config.triage.seed)
        # The class that wins on the picture; a name of `unknown` is explained by its best candidate.
        name = row["topk"][0]["individual_id"]
        results[row["target_id"]] = base | {
            "method": METHOD,
            "predicted_id": name,
            "seed": seed,
            "mask_status": "failed",
        }
        if isinstance(picture, MediaError):
            results[row["target_id"]]["failure_reason"] = str(picture)
        else:
            pending.append((row, classifier.preprocess(picture)))
    if pending:
        seeds = torch.tensor([results[row["target_id"]]["seed"] for row, _ in pending])
        stacked = torch.stack([tensor for _, tensor in pending])
        size = config.classify.batch_size
        logits = torch.cat([classifier.logits(part) for part in stacked.split(size)])
        targets = classifier.best_class(logits, [results[row["target_id"]]["predicted_id"] for row, _ in pending])
        with classifier.lock:
            masks = fit_masks(
                classifier.model, stacked.to(classifier.device), targets, settings, seeds, on_error="record"
            )
        frames: dict[str, list[Image.Image]] = defaultdict(list)
        for witness, picture in iter_pictures(witnesses, media, source, config, classifier.spec.input):
            if not isinstance(picture, MediaError):
                small = picture.resize(COMPARED_SIZE, Image.Resampling.BOX)
                frames[witness["deployment_id"]].append(small)
        strips = {deployment: find_strips(seen) for deployment, seen in frames.items()}
        bands = [
            strips.get(media[row["media_id"]].get("deployment_id") or "") if row["detection_id"] is None else None
            for row, _ in pending
        ]
        inside_of = [located_box(row) for row, _ in pending]
        shape = stacked.shape[-2:]
        without_background = [None if box is None else animal_mask(box, shape) for box in inside_of]
        without_strips = [1 - strip_mask(found, shape) if found else None for found in bands]
        drops = _drops(without_background, stacked, targets, classifier, config)
        overlay_drops = _drops(without_strips, stacked, targets, classifier, config)
        for place, (row, _) in enumerate(pending):
            result = results[row["target_id"]]
            if place in masks.failures:
                result["failure_reason"] = masks.failures[place]
                continue
            joint = masks.joint[place].float().cpu().numpy()
            box = located_box(row)
            inside = _mass_in(joint, box) if box is not None else None
            result |= {
                "mask_status": "ok",
                "mask_png": encode_mask(joint),
                "ssr_probability": float(masks.ssr_probability[place]),
                "sdr_probability": float(masks.sdr_probability[place]),
                "area": float(masks.area[place]),
                "border_mass": 1.0 - _mass_in(joint, (0.125, 0.125, 0.75, 0.75)),
                "mass_in_box": inside,
                "background_reliance": None if inside is None else 1.0 - inside,
                "background_log_odds_drop": drops.get(place),
                "overlay_reliance": _mass_on_strips(joint, bands[place]),
                "overlay_log_odds_drop": overlay_drops.get(place),
                "iterations": int(masks.iterations[place]),
                "evaluations": int(masks.evaluations[place]),
                "is_converged": bool(masks.converged[place]),
            }
    return [results[row["target_id"]] for row in rows]


def mask_seed(target: str, seed: int) -> int:
    """Seed of a target's mask: the same whichever targets share its batch or shard."""
    return int.from_bytes(hashlib.sha256(f"mask:{seed}:{target}".encode()).digest()[:4], "big") >> 1


def encode_mask(joint: NDArray[np.floating]) -> bytes:
    """(h, w) map in [0, 1] -> 8-bit grey PNG."""
    buffer = io.BytesIO()
    Image.fromarray(np.round(np.clip(joint, 0, 1) * 255).astype(np.uint8)).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def decode_mask(png: bytes) -> NDArray[np.float32]:
    """8-bit grey PNG -> (h, w) float32 map in [0, 1]."""
    with Image.open(io.BytesIO(png)) as image:
        return (np.asarray(image.convert("L"), dtype=np.float32) / 255).astype(np.float32)


def _drops(
    keeps: Sequence[torch.Tensor | None],
    images: torch.Tensor,
    targets: torch.Tensor,
    classifier: Classifier,
    config: AuditConfig,
) -> dict[int, float]:
    """Place of each image with something to replace -> fall of its name's log-odds when that is blurred away."""
    asked = [(place, keep) for place, keep in enumerate(keeps) if keep is not None]
    drops: dict[int, float] = {}
    size = max(1, config.classify.batch_size // 2)
    for start in range(0, len(asked), size):
        some = asked[start : start + size]
        chosen = [place for place, _ in some]
        keep = torch.stack([one for _, one in some])
        found = log_odds_drop(
            classifier, images[chosen], targets[chosen], keep, mask_settings(config.masks).infill_sigma
        )
        drops |= zip(chosen, found.tolist())
    return drops


def _mass_on_strips(joint: NDArray[np.floating], bands: Sequence[tuple[float, float]] | None) -> float | None:
    """Share of a map's mass on strips; 0 where there are none, None where it could not be told."""
    if bands is None:
        return None
    return sum(_mass_in(joint, (0.0, top, 1.0, bottom - top)) for top, bottom in bands) if bands else 0.0


def _mass_in(joint: NDArray[np.floating], box: Box) -> float:
    """Share of a map's mass inside a relative box; 0 for an empty map."""
    height, width = joint.shape
    left, top, right, bottom = pixel_box(box, width, height)
    total = float(joint.sum(dtype=np.float64))
    return float(joint[top:bottom, left:right].sum(dtype=np.float64)) / total if total > 0 else 0.0

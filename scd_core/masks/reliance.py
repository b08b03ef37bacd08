"""How far a name rests on what is no part of the animal: burned-in strips found, and evidence taken away as a test."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from scd_core.boxes import Box, pixel_box
from scd_core.identify.classifier import Classifier
from scd_core.masks.infill import blend, make_infill
from scd_core.masks.log_odds import log_odds

__all__ = [
    "ANIMAL_MARGIN",
    "COMPARED_SIZE",
    "Band",
    "animal_mask",
    "find_strips",
    "log_odds_drop",
    "strip_mask",
]

Band = tuple[float, float]
"""Top and bottom of a strip, as shares of the height."""

COMPARED_SIZE = 320, 240
"""Width and height at which rows are compared (pixels)."""

_WIDTH, _HEIGHT = COMPARED_SIZE
ANIMAL_MARGIN = 0.1
"""A detector's box cuts tails and ears: the animal is taken to reach this share of the box's sides beyond it."""
_STILL = 4.0
"""A pixel stands still when it differs by less from its median over the frames (grey levels of 256): JPEG's own noise."""
_STILL_SHARE = 0.6
"""A row of a strip stands still in at least this share of its pixels and frames; time and temperature change the rest."""
_MOVING_SHARE = 0.5
"""Frames in which the scene itself stands still prove nothing: at most this share of the middle's pixels may."""
_EDGE = 0.2
"""A strip lies within this share of the height from the top or the bottom edge."""
_FEWEST = 4
"""Fewest frames by which a strip can be distinguished from a scene that happens to be alike twice."""
_THINNEST = 3
"""Fewest rows of a strip at the size of comparison."""


def find_strips(pictures: Sequence[Image.Image]) -> list[Band] | None:
    """Bands of rows at the top or bottom that do not change within a deployment: strips burned in by the camera.

    Each row is compared with its median over the frames. In a strip most pixels are exactly those of every other frame;
    in the scene light, noise and leaves move them, so frames of one deployment at different times are needed.

    Args:
        pictures: frames of one deployment, of different events.

    Returns:
        Bands (top, bottom) as shares of the height, possibly none; None where the frames are too few, or too alike, to
        know.
    """
    if len(pictures) < _FEWEST:
        return None
    frames = np.stack([_grey(picture) for picture in pictures])
    still = np.abs(frames - np.median(frames, axis=0)) < _STILL
    rows = still.mean((0, 2))
    edge = round(_EDGE * _HEIGHT)
    if rows[edge:-edge].mean() > _MOVING_SHARE:
        return None
    top, bottom = _band(rows[:edge]), _band(rows[::-1][:edge])
    bands = []
    if top:
        bands.append((0.0, top / _HEIGHT))
    if bottom:
        bands.append((1.0 - bottom / _HEIGHT, 1.0))
    return bands


def strip_mask(bands: Sequence[Band], shape: tuple[int, ...]) -> Tensor:
    """1 in the bands, 0 elsewhere; (h, w) float32."""
    mask = torch.zeros(shape[-2:])
    for top, bottom in bands:
        _fill(mask, (0.0, top, 1.0, bottom - top))
    return mask


def animal_mask(box: Box, shape: tuple[int, ...]) -> Tensor:
    """1 inside an animal's box, widened by :data:`ANIMAL_MARGIN`, 0 outside; (h, w) float32.

    Args:
        box: relative box.
        shape: ends with h and w of the result; a box thinner than a cell still has one.
    """
    mask = torch.zeros(shape[-2:])
    _fill(mask, box, ANIMAL_MARGIN)
    return mask


@torch.inference_mode()
def log_odds_drop(classifier: Classifier, images: Tensor, targets: Tensor, keep: Tensor, sigma: float) -> Tensor:
    """Fall of each target's log-odds when what is not kept is blurred away.

    Args:
        classifier: the model package in use.
        images: (B, 3, H, W) normalised.
        targets: (B,) int64 classes.
        keep: (B, H, W), 1 = the picture's own pixel, 0 = replaced.
        sigma: width of the blur (pixels of a frame whose shorter side is 224).

    Returns:
        (B,) float32 on the CPU: log-odds of the picture less those of the replaced one; positive where the name rested on
        what was replaced.
    """
    infill = make_infill(images, "blur", sigma, torch.zeros(len(images), dtype=torch.int64))
    both = torch.cat((images, blend(images, keep, infill)))
    odds = log_odds(classifier.logits(both), targets.repeat(2))
    return odds[: len(images)] - odds[len(images) :]


def _fill(mask: Tensor, box: Box, margin: float = 0.0) -> None:
    height, width = mask.shape
    left, top, right, bottom = pixel_box(box, width, height, margin)
    mask[top:bottom, left:right] = 1.0


def _grey(picture: Image.Image) -> NDArray[np.float32]:
    small = picture.convert("L").resize((_WIDTH, _HEIGHT), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float32)


def _band(rows: NDArray[np.floating]) -> int:
    """Rows from the edge inwards up to the last of a run that stands still; 0 where the run is too thin to be a strip."""
    # Lines of text that change leave a gap of a row or two, so rows are judged by the mean of three.
    smooth = np.convolve(np.pad(rows, 1, mode="edge"), np.ones(3) / 3, mode="valid")
    moving = np.flatnonzero(smooth < _STILL_SHARE)
    count = int(moving[0]) if moving.size else len(rows)
    return count if _THINNEST <= count < len(rows) else 0

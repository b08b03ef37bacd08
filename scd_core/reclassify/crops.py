"""Crops chosen by a mask: the box that holds its evidence, and the control crop of the same size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scd_core.boxes import WHOLE, Box

__all__ = ["away_box", "central_box", "evidence_box", "fill_box"]


def evidence_box(mask: NDArray[np.floating], mass: float) -> Box:
    """Small box that holds a share of a mask's mass.

    Starting from the whole mask, the border row or column with the least mass is peeled off for as long as the rest
    holds the share: greedy, so not always the smallest box, but one that follows the mask's densest part.

    Args:
        mask: (h, w) in [0, 1].
        mass: share of the sum to keep, 0-1.

    Returns:
        The box; the whole picture for an empty mask.
    """
    weights = np.asarray(mask, dtype=np.float64)
    total = weights.sum()
    height, width = weights.shape
    if not np.isfinite(total) or total <= 0:
        return WHOLE
    # Summed-area table: the mass of any strip in four look-ups.
    table = np.pad(weights.cumsum(0).cumsum(1), ((1, 0), (1, 0)))

    def inside(top: int, bottom: int, left: int, right: int) -> float:
        return float(table[bottom, right] - table[top, right] - table[bottom, left] + table[top, left])

    top, bottom, left, right = 0, height, 0, width
    kept = total
    while True:
        strips = []
        if bottom - top > 1:
            strips.append((inside(top, top + 1, left, right), (top + 1, bottom, left, right)))
            strips.append((inside(bottom - 1, bottom, left, right), (top, bottom - 1, left, right)))
        if right - left > 1:
            strips.append((inside(top, bottom, left, left + 1), (top, bottom, left + 1, right)))
            strips.append((inside(top, bottom, right - 1, right), (top, bottom, left, right - 1)))
        if not strips:
            break
        lost, rest = min(strips, key=lambda strip: strip[0])
        if kept - lost < mass * total:
            break
        kept -= lost
        top, bottom, left, right = rest
    return left / width, top / height, (right - left) / width, (bottom - top) / height


def fill_box(box: Box, margin: float, least: tuple[float, float]) -> Box:
    """Box with a margin on every side, widened or heightened to the proportions of the smallest box, moved inside.

    A crop with fewer pixels than the network's input shows nothing that the whole picture does not; it only shows it at
    a size that the network may never have seen. So there is a smallest box, and its proportions are the input's.

    Args:
        box: relative box.
        margin: share of each side added on both ends.
        least: smallest width and height, as shares of the picture; the picture itself where they exceed it.

    Returns:
        The box, at least as large as the first one with its margin as far as that lies inside the picture.
    """
    x, y, width, height = box
    center_x, center_y = x + width / 2, y + height / 2
    scale = max(1.0, width * (1 + 2 * margin) / least[0], height * (1 + 2 * margin) / least[1])
    width, height = min(1.0, scale * least[0]), min(1.0, scale * least[1])
    left = min(max(0.0, center_x - width / 2), 1.0 - width)
    top = min(max(0.0, center_y - height / 2), 1.0 - height)
    return left, top, width, height


def away_box(mask: NDArray[np.floating], side: float, most: float) -> Box:
    """Crop of a given size that leaves a mask's evidence out, as near to the middle as that allows.

    Args:
        mask: (h, w) in [0, 1].
        side: width and height of the crop, as shares of the picture's, 0-1.
        most: share of the mask's mass that the crop may hold; where every crop holds more, the one that holds least.
    """
    weights = np.nan_to_num(np.asarray(mask, dtype=np.float64), posinf=0.0, neginf=0.0).clip(0.0)
    height, width = weights.shape
    tall, wide = max(1, round(side * height)), max(1, round(side * width))
    table = np.pad(weights.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    held = table[tall:, wide:] - table[:-tall, wide:] - table[tall:, :-wide] + table[:-tall, :-wide]
    # The sums of a summed-area table differ by rounding where they are equal.
    tops, lefts = np.nonzero(held <= max(most * weights.sum(), held.min() * (1 + 1e-9) + 1e-9))
    off = ((tops + tall / 2) / height - 0.5) ** 2 + ((lefts + wide / 2) / width - 0.5) ** 2
    nearest = int(off.argmin())
    return lefts[nearest] / width, tops[nearest] / height, wide / width, tall / height


def central_box(box: Box) -> Box:
    """Box of the same size in the middle of the picture."""
    _, _, width, height = box
    return (1 - width) / 2, (1 - height) / 2, width, height

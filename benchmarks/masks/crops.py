"""Boxes that only the comparison needs: around a region, and grown to an aspect."""

from __future__ import annotations

from torch import Tensor

from scd_core.boxes import Box

__all__ = ["box_of", "grow_box"]


def box_of(region: Tensor) -> Box:
    """The box around the pixels of a region, (h, w) bool."""
    rows, columns = region.any(dim=1).nonzero().flatten(), region.any(dim=0).nonzero().flatten()
    height, width = region.shape
    left, top = int(columns[0]) / width, int(rows[0]) / height
    return left, top, (int(columns[-1]) + 1) / width - left, (int(rows[-1]) + 1) / height - top


def grow_box(box: Box, margin: float, aspect: float) -> Box:
    """Box with a margin on every side, widened to an aspect, moved back inside the picture.

    Args:
        box: relative box.
        margin: share of each side added on both ends.
        aspect: width over height, in shares of the picture, that the result has at least in the shorter direction; the
            box is widened or heightened, never cut.
    """
    x, y, width, height = box
    center_x, center_y = x + width / 2, y + height / 2
    width, height = width * (1 + 2 * margin), height * (1 + 2 * margin)
    width, height = max(width, height * aspect), max(height, width / aspect)
    width, height = min(1.0, width), min(1.0, height)
    left = min(max(0.0, center_x - width / 2), 1.0 - width)
    top = min(max(0.0, center_y - height / 2), 1.0 - height)
    return left, top, width, height

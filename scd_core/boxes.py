"""Boxes: parts of a picture in relative coordinates, and the one way in which they become pixels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["WHOLE", "Box", "box_from_row", "pixel_box"]

Box = tuple[float, float, float, float]
"""x_min, y_min, width, height as shares of the picture, origin at the top left."""

WHOLE: Box = (0.0, 0.0, 1.0, 1.0)
"""The whole picture."""


def pixel_box(box: Box, width: int, height: int) -> tuple[int, int, int, int]:
    """The pixels of a box: edges rounded to the nearest pixel, at least one pixel wide and high, inside the picture.

    Args:
        box: relative box; parts outside the picture are cut off.
        width: of the picture (pixels).
        height: of the picture (pixels).

    Returns:
        left, top, right, bottom in pixels, right and bottom exclusive.

    >>> pixel_box((0.25, 0.5, 0.5, 0.25), 100, 80)
    (25, 40, 75, 60)
    >>> pixel_box((0.999, 0.0, 0.0001, 2.0), 100, 80)
    (99, 0, 100, 80)
    """
    x, y, wide, high = box
    left, right = _span(x, x + wide, width)
    top, bottom = _span(y, y + high, height)
    return left, top, right, bottom


def box_from_row(row: Mapping[str, Any]) -> Box | None:
    """The box in a row's columns ``bbox_*``; None where the row has none."""
    if row["bbox_x_min"] is None:
        return None
    return row["bbox_x_min"], row["bbox_y_min"], row["bbox_width"], row["bbox_height"]


def _span(start: float, stop: float, count: int) -> tuple[int, int]:
    first = min(max(0, round(start * count)), count - 1)
    return first, min(count, max(first + 1, round(stop * count)))

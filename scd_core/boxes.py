"""Boxes: parts of a picture in relative coordinates, and how they become pixels.

Three roundings, each for one use: :func:`pixel_box` for the cells of a map, :func:`crop_box` for what is cut out of a picture,
:func:`covering_box` for what must not be shown.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

__all__ = [
    "WHOLE",
    "Box",
    "box_from_row",
    "classified_box",
    "covering_box",
    "crop_box",
    "located_box",
    "pixel_box",
    "widened",
]

Box = tuple[float, float, float, float]
"""x_min, y_min, width, height as shares of the picture, origin at the top left."""

WHOLE: Box = (0.0, 0.0, 1.0, 1.0)
"""The whole picture."""


def pixel_box(box: Box, width: int, height: int, margin: float = 0.0) -> tuple[int, int, int, int]:
    """The pixels of a box: edges rounded to the nearest pixel, at least one pixel wide and high, inside the picture.

    Args:
        box: relative box; parts outside the picture are cut off.
        width: of the picture (pixels).
        height: of the picture (pixels).
        margin: share of each side by which the box is widened on both ends.

    Returns:
        left, top, right, bottom in pixels, right and bottom exclusive.

    >>> pixel_box((0.25, 0.5, 0.5, 0.25), 100, 80)
    (25, 40, 75, 60)
    >>> pixel_box((0.999, 0.0, 0.0001, 2.0), 100, 80)
    (99, 0, 100, 80)
    """
    x, y, wide, high = box
    left, right = _span(round((x - margin * wide) * width), round((x + wide * (1 + margin)) * width), width)
    top, bottom = _span(round((y - margin * high) * height), round((y + high * (1 + margin)) * height), height)
    return left, top, right, bottom


def crop_box(box: Box, width: int, height: int) -> tuple[int, int, int, int]:
    """The pixels that are cut out of a picture for a box: as :func:`pixel_box`, but left and top are rounded down.

    >>> crop_box((0.25, 0.509, 0.5, 0.25), 100, 100), pixel_box((0.25, 0.509, 0.5, 0.25), 100, 100)
    ((25, 50, 75, 76), (25, 51, 75, 76))
    """
    # Every name so far was given to pictures cut like this; another rounding would change some of them.
    x, y, wide, high = box
    left, right = _span(int(x * width), round((x + wide) * width), width)
    top, bottom = _span(int(y * height), round((y + high) * height), height)
    return left, top, right, bottom


def covering_box(box: Box, width: int, height: int, margin: float, bleed: int) -> tuple[int, int, int, int]:
    """Pixels that cover a box for certain: edges rounded outwards, after a margin and with some pixels more.

    Args:
        box: relative box.
        width: of the picture (pixels).
        height: of the picture (pixels).
        margin: share of each side by which the box is widened on both ends.
        bleed: pixels added on every side.

    Returns:
        left, top, right, bottom in pixels, right and bottom exclusive; they may lie outside the picture.

    >>> covering_box((0.25, 0.5, 0.5, 0.25), 100, 80, margin=0.02, bleed=2)
    (22, 37, 78, 63)
    """
    x, y, wide, high = box
    across, down = margin * wide, margin * high
    left, top = math.floor((x - across) * width) - bleed, math.floor((y - down) * height) - bleed
    right, bottom = math.ceil((x + wide + across) * width) + bleed, math.ceil((y + high + down) * height) + bleed
    return left, top, right, bottom


def widened(box: Box, margin: float) -> Box:
    """A box with some of its surroundings, inside the picture.

    Args:
        box: relative box inside the picture.
        margin: share of each side by which it is widened on both ends; 0 gives the box as it is.

    >>> widened((0.25, 0.5, 0.5, 0.25), 0.5)
    (0.0, 0.375, 1.0, 0.5)
    """
    if not margin:
        return box
    x, y, wide, high = box
    left, top = max(0.0, x - margin * wide), max(0.0, y - margin * high)
    return left, top, min(1.0, x + wide * (1 + margin)) - left, min(1.0, y + high * (1 + margin)) - top


def box_from_row(row: Mapping[str, Any]) -> Box | None:
    """The box in a row's columns ``bbox_*``; None where the row has none."""
    if row["bbox_x_min"] is None:
        return None
    return row["bbox_x_min"], row["bbox_y_min"], row["bbox_width"], row["bbox_height"]


def classified_box(row: Mapping[str, Any]) -> Box | None:
    """The part of the frame that was classified, the surroundings of the box included; None for the whole frame."""
    box = None if row["detection_id"] is None else box_from_row(row)
    return None if box is None else widened(box, row.get("box_margin") or 0.0)


def located_box(row: Mapping[str, Any]) -> Box | None:
    """Where the animal is in the classified picture; None where that is not known, or where the picture is the box."""
    box, shown = box_from_row(row), classified_box(row)
    if box is None or shown is None:
        return box
    if box == shown:
        return None
    return (box[0] - shown[0]) / shown[2], (box[1] - shown[1]) / shown[3], box[2] / shown[2], box[3] / shown[3]


def _span(start: int, stop: int, count: int) -> tuple[int, int]:
    first = min(max(0, start), count - 1)
    return first, min(count, max(first + 1, stop))

"""Persons and vehicles: parts of a picture that are neither classified nor shown, filled with one colour."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image, ImageDraw

from scd_core.boxes import WHOLE, Box, covering_box
from scd_core.inputs.detections import Detection
from scd_core.tables.rows import HiddenBox

__all__ = ["blank", "boxes_from_columns", "hidden_boxes", "hidden_columns", "hidden_share"]

_GREY = (128, 128, 128)
_MARGIN = 0.02
"""Share of a box by which it is widened on each side: a detector's box is not exact."""
_BLEED = 2
"""Pixels by which it is widened besides: JPEG's colour is coarser than its grey, so a person's colour leaves the box."""
_CELLS = 64


def hidden_boxes(detections: Iterable[Detection], min_confidence: float) -> list[Box]:
    """Where a picture's persons, vehicles and other boxes of no animal are.

    Args:
        detections: all boxes of one image.
        min_confidence: boxes of a lower confidence are left out, 0-1; one without a confidence is not.

    Returns:
        Boxes inside the image. One whose place cannot be read stands for the whole image, so that nobody is shown by
        mistake.
    """
    found: list[Box] = []
    for one in detections:
        if one.is_redacted and not one.confidence < min_confidence:
            found.append(WHOLE if one.place_problem() else one.clipped())
    return found


def hidden_share(box: Box, hidden: Sequence[Box]) -> float:
    """Share of a box's area that hidden boxes cover together, 0-1, to 1/64 of its sides."""
    if not hidden:
        return 0.0
    x, y, width, height = box
    steps = (np.arange(_CELLS) + 0.5) / _CELLS
    across, down = (x + width * steps)[None], (y + height * steps)[:, None]
    covered = np.zeros((_CELLS, _CELLS), bool)
    for left, top, w, h in hidden:
        covered |= (across >= left) & (across <= left + w) & (down >= top) & (down <= top + h)
    return float(covered.mean())


def blank(picture: Image.Image, hidden: Sequence[Box]) -> Image.Image:
    """The whole frame with hidden boxes filled grey: nothing of what was there is left, so nothing can be restored.

    Args:
        picture: the upright frame, RGB, of any size.
        hidden: boxes as shares of the frame.

    Returns:
        A copy; the picture itself where nothing is hidden.
    """
    if not hidden:
        return picture
    blanked = picture.convert("RGB") if picture.mode != "RGB" else picture.copy()
    pen = ImageDraw.Draw(blanked)
    for box in hidden:
        left, top, right, bottom = covering_box(box, picture.width, picture.height, _MARGIN, _BLEED)
        pen.rectangle((left, top, right - 1, bottom - 1), fill=_GREY)
    return blanked


def hidden_columns(hidden: Sequence[Box]) -> list[HiddenBox]:
    """Boxes as the column `hidden_boxes` holds them."""
    return [{"x_min": x, "y_min": y, "width": width, "height": height} for x, y, width, height in hidden]


def boxes_from_columns(column: Iterable[HiddenBox] | None) -> list[Box]:
    """The column `hidden_boxes` as boxes; none where no detections were given."""
    return [(box["x_min"], box["y_min"], box["width"], box["height"]) for box in column or ()]

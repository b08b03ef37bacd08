"""The info strip that a camera burns into the foot of its pictures."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

__all__ = ["draw_strip", "strip_height"]


def strip_height(height: int) -> int:
    """Rows that the strip takes at the foot of a picture of that height, pixels."""
    return round(16 * height / 240)


def draw_strip(
    camera_id: str, make: str, captured_at: datetime, temperature_c: int, *, is_alternate: bool, width: int, height: int
) -> np.ndarray:
    """The strip as uint8 (rows, width, 3).

    The two styles differ in their left panel only, and there in texture only: blurred, they look the same.

    Args:
        camera_id: text of the strip.
        make: maker, text of the strip.
        captured_at: date and time to print.
        temperature_c: temperature to print, degrees Celsius.
        is_alternate: draw the alternate style, with a chequered panel.
        width: picture width, pixels.
        height: picture height, pixels.
    """
    rows = strip_height(height)
    picture = _panel(make, is_alternate, width, rows).copy()
    text = f"{captured_at:%Y-%m-%d %H:%M:%S}  {temperature_c:d}C  {camera_id}"
    size = _font_size(rows)
    ImageDraw.Draw(picture).text((width * 0.40, rows * 0.5), text, fill=235, font=_font(size), anchor="lm")
    return np.repeat(np.asarray(picture)[..., None], 3, axis=2)


def _font_size(rows: int) -> int:
    return max(6, round(rows * 0.62))


@lru_cache(maxsize=16)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=size)


@lru_cache(maxsize=64)
def _panel(make: str, is_alternate: bool, width: int, rows: int) -> Image.Image:
    """Black strip with the maker's panel on its left."""
    picture = Image.new("L", (width, rows), 12)
    wide, cell = round(0.36 * width), max(2, round(rows / 4))
    panel = np.full((rows, wide), 128, dtype=np.uint8)
    if is_alternate:
        row, column = np.indices((rows, wide))
        panel = np.where((row // cell + column // cell) % 2 == 0, 244, 12).astype(np.uint8)
    picture.paste(Image.fromarray(panel), (0, 0))
    if not is_alternate:
        ImageDraw.Draw(picture).text((4, rows * 0.5), make, fill=100, font=_font(_font_size(rows)), anchor="lm")
    return picture

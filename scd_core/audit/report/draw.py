"""Drawing evidence on pictures: the joint mask as heat with its contour, the animal's box."""

from __future__ import annotations

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from scd_core.boxes import WHOLE, Box, crop_box
from scd_core.tables.mask_png import open_mask

__all__ = [
    "draw_box",
    "draw_evidence",
    "heat_layer",
    "jpeg_uri",
    "lit_view",
    "mask_over_frame",
    "outline_layer",
    "shrink",
]

# Dark violet over red and orange to pale yellow: brightness rises with evidence, so the map reads without colour too.
_HEAT_STOPS = (0.0, 0.35, 0.7, 1.0)
_HEAT = ((64, 10, 90), (196, 48, 76), (248, 142, 34), (252, 246, 164))
_OPACITY = 0.75
# Evidence below the first share of the peak is not drawn, from the second on it is drawn at full opacity.
_FAINT, _SOLID = 0.15, 0.7
_CONTOUR_LEVEL = 0.5
_HALO = 166  # of 255
_BOX_COLOUR = (96, 220, 255)
_SHADOW = (0, 0, 0)


def shrink(picture: Image.Image, width: int, height: int) -> Image.Image:
    """The picture made small enough for a frame of `width` x `height` pixels; a smaller one is left as it is."""
    small = picture.copy()
    small.thumbnail((max(1, width), max(1, height)), Image.Resampling.LANCZOS)
    return small


def mask_over_frame(png: bytes, size: tuple[int, int], box: Box | None = None) -> NDArray[np.float32]:
    """The joint map of a stored mask, laid over the whole frame and scaled so that its peak is 1.

    Args:
        png: 8-bit grey PNG, over the classified picture.
        size: width and height of the frame as shown (pixels).
        box: part of the frame that was classified; None for all of it.

    Returns:
        (height, width) in [0, 1]; 0 outside the classified part, all 0 for an empty map.

    Raises:
        BrokenMaskError: the stored mask cannot be read.
    """
    grey = open_mask(png)
    width, height = size
    left, top, right, bottom = crop_box(box or WHOLE, *size)
    part = grey.resize((right - left, bottom - top), Image.Resampling.BILINEAR)
    mask = np.zeros((height, width), np.float32)
    mask[top:bottom, left:right] = np.asarray(part, np.float32)
    peak = float(mask.max())
    return mask / peak if peak > 0 else mask


def draw_evidence(picture: Image.Image, mask: NDArray[np.floating]) -> Image.Image:
    """The picture with a map drawn over it as heat, and a contour around what exceeds half of its peak.

    The picture is greyed and dimmed where there is no evidence, so that heat is never mistaken for the picture's colour.

    Args:
        picture: RGB picture.
        mask: (height, width) of the picture, in [0, 1].
    """
    pixels = np.asarray(picture.convert("RGB"), np.float32)
    grey = pixels @ np.array([0.299, 0.587, 0.114], np.float32)
    calm = Image.fromarray(np.clip(0.35 * pixels + 0.5 * grey[..., None], 0, 255).astype(np.uint8)).convert("RGBA")
    drawn = Image.alpha_composite(calm, heat_layer(mask))
    return Image.alpha_composite(drawn, outline_layer(mask)).convert("RGB")


def heat_layer(mask: NDArray[np.floating]) -> Image.Image:
    """A map as heat to lay over a picture: the more evidence, the brighter and the less transparent.

    Args:
        mask: (height, width) of the picture, in [0, 1].

    Returns:
        RGBA, transparent where there is hardly any evidence.
    """
    levels = np.linspace(0, 1, 256)
    colours = [np.interp(levels, _HEAT_STOPS, [colour[i] for colour in _HEAT]) for i in range(3)]
    alpha = 255 * _OPACITY * np.clip((levels - _FAINT) / (_SOLID - _FAINT), 0, 1)
    palette = np.stack([*colours, alpha], axis=-1).astype(np.uint8)
    return Image.fromarray(palette[np.rint(255 * mask).astype(np.uint8)], "RGBA")


def outline_layer(mask: NDArray[np.floating], width: int = 1) -> Image.Image:
    """A line around what exceeds half of a map's peak, white with a dark halo, to lay over a picture.

    Args:
        mask: (height, width) of the picture, in [0, 1].
        width: of the line (pixels).

    Returns:
        RGBA, transparent but for the line and its halo.
    """
    inside = mask >= _CONTOUR_LEVEL
    edge = inside & _grown(~inside, width)
    line = np.zeros((*mask.shape, 4), np.uint8)
    line[_grown(edge, width)] = (0, 0, 0, _HALO)
    line[edge] = (255, 255, 255, 255)
    return Image.fromarray(line, "RGBA")


def _grown(cells: NDArray[np.bool_], steps: int) -> NDArray[np.bool_]:
    """Cells and those within some steps of one, corners included."""
    for _ in range(steps):
        for axis in (0, 1):
            before, after = np.zeros_like(cells), np.zeros_like(cells)
            low, high = (slice(1, None), slice(None, -1)) if axis == 0 else (np.s_[:, 1:], np.s_[:, :-1])
            before[low], after[high] = cells[high], cells[low]
            cells = cells | before | after
    return cells


def draw_box(picture: Image.Image, box: Box) -> Image.Image:
    """The picture with the animal's box as a line with a dark shadow, visible on day and night pictures alike."""
    drawn = picture.convert("RGB")
    left, top, right, bottom = crop_box(box, *drawn.size)
    pen = ImageDraw.Draw(drawn)
    pen.rectangle((left, top, right - 1, bottom - 1), outline=_SHADOW, width=4)
    pen.rectangle((left + 1, top + 1, max(left + 1, right - 2), max(top + 1, bottom - 2)), outline=_BOX_COLOUR, width=2)
    return drawn


def lit_view(picture: Image.Image, mask: NDArray[np.floating], grid: int = 7) -> Image.Image:
    """The picture lit where `late` counts its features: by the mean evidence of each cell of a coarse grid.

    Args:
        picture: RGB picture.
        mask: (height, width) of the picture, in [0, 1].
        grid: cells a side, 7 for usual networks at 224 pixels.
    """
    cells = Image.fromarray(np.asarray(mask, np.float32)).resize((grid, grid), Image.Resampling.BOX)
    light = np.asarray(cells.resize(picture.size, Image.Resampling.NEAREST), np.float32)
    light = 0.15 + 0.85 * light / max(float(light.max()), 1e-6)
    pixels = np.asarray(picture.convert("RGB"), np.float32) * light[..., None]
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def jpeg_uri(picture: Image.Image, quality: int) -> str:
    """The picture as a ``data:`` address of a JPEG, without the metadata of the original."""
    buffer = io.BytesIO()
    picture.convert("RGB").save(buffer, "JPEG", quality=quality, optimize=True, progressive=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")

"""The animal painted into a scene: its body, its marks, and where both are seen."""

from __future__ import annotations

import numpy as np
from PIL import Image

from scd_core.names import Flank
from scd_core.scenes.background import Backdrop
from scd_core.scenes.body import FEET, Pose, body_to_picture, draw_silhouette
from scd_core.scenes.coat import CANVAS, coat_texture
from scd_core.scenes.scene import SceneSpec
from scd_core.scenes.world import Coat

__all__ = ["GREY", "RIM", "VEIL", "paint_animal"]

GREY = np.array([0.42, 0.40, 0.18], dtype=np.float32)
"""What an infrared sensor makes of red, green and blue."""
VEIL = np.array([0.76, 0.79, 0.80], dtype=np.float32)
"""Colour of fog by day."""
RIM = 0.15
"""A mark that covers less of a pixel than this does not count; on a sharp lens it is not painted either."""
_FUR = np.array([0.70, 0.555, 0.385], dtype=np.float32)
_MARK = np.array([0.13, 0.09, 0.065], dtype=np.float32)


def paint_animal(
    picture: np.ndarray,
    visible: np.ndarray,
    marked: np.ndarray,
    spec: SceneSpec,
    coat: Coat,
    scenery: Backdrop,
    warmth: float,
) -> None:
    """Paint the animal into the exposed picture, and where it and its marks are seen into the two planes."""
    height, width = visible.shape
    conditions, pose = spec.conditions, spec.pose
    affine = body_to_picture(pose, faces_right=spec.flank == Flank.RIGHT, width=width, height=height)
    # The body's box with room for head, tail, smear and shadow, cut to the picture; all work is on this window.
    corners = np.array([(-0.5, -0.35), (1.55, -0.35), (1.55, FEET + 0.08), (-0.5, FEET + 0.08)])
    placed = corners @ affine[:, :2].T + affine[:, 2]
    smear = max(1, round(conditions.motion_blur_px * height / 240))
    left, top = np.maximum(np.floor(placed.min(0)).astype(int) - smear, 0).tolist()
    right, bottom = np.minimum(np.ceil(placed.max(0)).astype(int) + smear, (width, height)).tolist()
    if left >= right or top >= bottom:
        return
    window, size = (slice(top, bottom), slice(left, right)), (right - left, bottom - top)
    local = affine.copy()
    local[:, 2] -= (left, top)
    whole, far, eye = draw_silhouette(pose, local * 2, (size[0] * 2, size[1] * 2))
    body = np.asarray(whole.reduce(2), dtype=np.float32) / 255
    shaded = np.asarray(far.reduce(2), dtype=np.float32) / 255
    marks = _warp_marks(coat, local, size) * body
    if smear > 1:
        body, shaded, marks = (_smear(plane, smear) for plane in (body, shaded, marks))
    # Faint rims are cut off, so that the mark mask holds every pixel that a mark changes.
    marks[marks < RIM] = 0.0
    light = _shade(spec, local, shaded)
    target = picture[window]
    target *= (1 - 0.45 * _shadow(pose, size, local))[..., None]
    # The whole animal is as far away as its feet.
    foot = (int(np.clip(pose.y, 0.0, 0.999) * height), int(np.clip(pose.x, 0.0, 0.999) * width))
    veil = conditions.fog * (0.35 + 0.65 * float(scenery.depth[foot[0], 0]))
    if conditions.light == "infrared":
        # Grey planes are painted once and spread to the three channels at the end.
        flash = float(scenery.flash[foot]) * 1.4 * conditions.brightness + 0.05
        grey = light * float(_FUR @ GREY)
        grey += (float(_MARK @ GREY) - grey) * (0.86 * marks)
        grey *= flash
        grey[_around(eye / 2, max(1, round(0.006 * width)))] = 1.2
        grey += (0.62 * (0.55 + 0.45 * scenery.flash[window]) - grey) * veil
        plane = target[..., 0]
        plane += (grey - plane) * body
        target[..., 1] = target[..., 2] = plane
    else:
        gain = np.array([1 + warmth, 1.0, 1 - warmth], dtype=np.float32) * np.float32(conditions.brightness)
        for channel in range(3):
            colour = light * float(_FUR[channel])
            colour += (float(_MARK[channel]) - colour) * (0.86 * marks)
            colour *= float(gain[channel])
            colour += (float(VEIL[channel]) - colour) * veil
            plane = target[..., channel]
            plane += (colour - plane) * body
    visible[window] = body
    marked[window] = marks


def _shade(spec: SceneSpec, local: np.ndarray, shaded: np.ndarray) -> np.ndarray:
    """Light on the coat, (rows, columns) of the window: countershading from back to belly, fur grain, far legs in shadow.

    Args:
        spec: the scene.
        local: body coordinates to pixels of the window, (2, 3).
        shaded: share of each pixel that the far legs take, 0-1.
    """
    rows, columns = shaded.shape
    inverse = np.linalg.inv(local[:, :2])
    row = np.arange(rows, dtype=np.float32)[:, None] - np.float32(local[1, 2])
    column = np.arange(columns, dtype=np.float32)[None, :] - np.float32(local[0, 2])
    down = row * np.float32(inverse[1, 1]) + column * np.float32(inverse[1, 0])
    grain = np.random.default_rng([spec.seed, 43]).standard_normal((rows, columns), dtype=np.float32)
    light = 1.06 - 0.42 * np.clip(down * 2, 0, 1) ** 2 + 0.10 * np.clip(down * 2.5 - 1.25, 0, 1)
    light *= (1 + 0.22 * spec.coat_tone) * (1 + 0.05 * grain) * (1 - 0.38 * np.where(down > 0.42, shaded, 0.0))
    return light


def _around(point: np.ndarray, reach: int) -> tuple[slice, slice]:
    """Window of ``reach`` pixels about a point."""
    x, y = int(point[0]), int(point[1])
    return slice(max(y - reach, 0), max(y + reach, 0)), slice(max(x - reach, 0), max(x + reach, 0))


def _warp_marks(coat: Coat, local: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Marks of the flank placed on the body, float32 0-1, (rows, columns) of the window."""
    texture, resolution = coat_texture(coat, float(abs(local[1, 1])))
    inverse = np.linalg.inv(local[:, :2]) * resolution
    # Pixel centres lie at +0.5 in both pictures.
    offset = -inverse @ local[:, 2] - np.array(CANVAS[:2]) * resolution
    data = (inverse[0, 0], inverse[0, 1], offset[0], inverse[1, 0], inverse[1, 1], offset[1])
    warped = texture.transform(size, Image.Transform.AFFINE, data=data, resample=Image.Resampling.BILINEAR)
    return np.asarray(warped, dtype=np.float32) / 255


def _smear(plane: np.ndarray, length: int) -> np.ndarray:
    """Running mean along the rows."""
    padded = np.pad(plane, ((0, 0), (length // 2, length - 1 - length // 2)))
    total = padded[:, : plane.shape[1]].copy()
    for shift in range(1, length):
        total += padded[:, shift : shift + plane.shape[1]]
    return total / length


def _shadow(pose: Pose, size: tuple[int, int], local: np.ndarray) -> np.ndarray:
    """Soft ellipse on the ground under the body, 0-1."""
    middle = local[:, :2] @ np.array([0.5, FEET]) + local[:, 2]
    wide, tall = 0.62 * abs(float(local[0, 0])) + 4, 0.07 * abs(float(local[1, 1])) + 2
    row, column = np.arange(size[1], dtype=np.float32)[:, None], np.arange(size[0], dtype=np.float32)[None, :]
    return np.clip(1.15 - ((column - float(middle[0])) / wide) ** 2 - ((row - float(middle[1])) / tall) ** 2, 0, 1)

"""From the description of a scene to its picture and the truth about each pixel."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np
from PIL import Image

from scd_core.scenes.background import Backdrop, backdrop
from scd_core.scenes.body import FEET, Pose, body_to_picture, draw_silhouette
from scd_core.scenes.coat import CANVAS, coat_texture
from scd_core.scenes.strip import draw_strip, strip_height
from scd_core.scenes.world import Coat, Flank, Plant, World

__all__ = ["Conditions", "Scene", "SceneSpec", "render"]


@dataclass(frozen=True)
class Conditions:
    """What makes a picture easy or hard."""

    light: Literal["day", "infrared"] = "day"
    brightness: float = 1.0
    """Gain over the camera's even daylight, or over its flash."""
    fog: float = 0.0
    """0 clear to 1 nothing seen."""
    motion_blur_px: int = 0
    """Length of the animal's smear along its way, pixels at 240 rows."""
    defocus_px: float = 0.0
    """Standard deviation of the lens blur over the whole picture, pixels at 240 rows."""
    twigs: int | None = None
    """Which foreground layer hides part of the scene; None for none."""
    noise: float = 0.015
    """Standard deviation of the sensor noise, as a share of full scale."""


@dataclass(frozen=True)
class SceneSpec:
    """All that a picture shows: rendering it needs nothing else, so any field can be changed to ask *what if*."""

    individual_id: str | None
    """Who is in the picture; None for nobody."""
    camera_id: str
    deployment_id: str
    event_id: str
    frame: int
    """Number of the frame in its burst, from 0."""
    captured_at: datetime
    """On the camera's clock."""
    flank: Flank
    pose: Pose
    conditions: Conditions
    has_prop: bool = False
    """The camera's prop stands there."""
    has_alternate_strip: bool = False
    temperature_c: int = 20
    coat_tone: float = 0.0
    """Ground colour of the coat, -1 dark to 1 pale: it varies from picture to picture, never with the individual."""
    labelled_as: str | None = None
    """Name that the person gave it; differs from ``individual_id`` where a label is planted wrong."""
    plant: Plant | None = None
    """The planted error that this scene falls under."""
    seed: int = 0
    """Seed of the noise."""
    coat: Coat | None = None
    """Marks to paint instead of the individual's own."""


@dataclass(frozen=True)
class Scene:
    """A picture and the truth about it."""

    spec: SceneSpec
    image: np.ndarray
    """(H, W, 3) uint8."""
    animal_mask: np.ndarray
    """(H, W) bool: pixels of the animal that are seen."""
    mark_mask: np.ndarray
    """(H, W) bool: pixels that the coat marks change, the causal evidence for the individual."""
    prop_mask: np.ndarray
    """(H, W) bool: pixels of the prop that are seen."""
    strip_mask: np.ndarray
    """(H, W) bool: pixels of the info strip."""

    @property
    def bbox(self) -> tuple[float, float, float, float] | None:
        """Box of the visible animal: x_min, y_min, width, height as shares of the picture; None where none is seen."""
        rows, columns = np.flatnonzero(self.animal_mask.any(1)), np.flatnonzero(self.animal_mask.any(0))
        if not rows.size:
            return None
        height, width = self.animal_mask.shape
        x, y = columns[0] / width, rows[0] / height
        return float(x), float(y), float((columns[-1] + 1) / width - x), float((rows[-1] + 1) / height - y)

    @property
    def cause(self) -> str | None:
        """Cause of the planted error, in the words of the ``errors`` table; None where nothing is planted."""
        return self.spec.plant.cause if self.spec.plant else None


def render(world: World, spec: SceneSpec) -> Scene:
    """Paint a scene.

    The same world and spec give the same bytes, in whatever order scenes are rendered. Beyond the animal's own layers
    every step changes each pixel by itself (a lens out of focus excepted), so that another coat changes no pixel
    outside ``mark_mask``.

    Raises:
        KeyError: the spec names an individual or a camera that the world does not have.
    """
    width, height = world.width, world.height
    camera = world.camera(spec.camera_id)
    scenery = backdrop(camera, width, height)
    conditions = spec.conditions
    rng = np.random.default_rng([spec.seed, 41])
    warmth = float(rng.uniform(-0.05, 0.05))
    has_prop = spec.has_prop and camera.prop is not None
    picture = _expose(scenery.day_with_prop if has_prop else scenery.day, scenery, conditions, warmth)
    visible = np.zeros((height, width), dtype=np.float32)
    marked = np.zeros((height, width), dtype=np.float32)
    if spec.individual_id is not None:
        coat = spec.coat or world.individual(spec.individual_id).coat(spec.flank)
        _paint_animal(picture, visible, marked, spec, coat, scenery, warmth)
    if conditions.twigs is not None:
        colour, opacity = scenery.twigs[conditions.twigs % len(scenery.twigs)]
        # Twigs are near: they catch most of the flash and little fog.
        near = colour * (conditions.brightness * (0.5 if conditions.light == "infrared" else 1.0))
        if conditions.light == "infrared":
            near = np.repeat((near @ _GREY)[..., None], 3, axis=2)
        picture += (near - picture) * opacity[..., None]
        visible *= 1 - opacity
        marked[opacity >= 1.0] = 0.0
    if conditions.defocus_px > 0:
        picture, marked = _defocus(picture, marked, conditions.defocus_px * height / 240)
    grain = rng.standard_normal((height, width), dtype=np.float32)
    picture += (conditions.noise * grain)[..., None]
    picture *= 255.0
    picture += 0.5
    image = np.clip(picture, 0.0, 255.0, out=picture).astype(np.uint8)
    strip = np.zeros((height, width), dtype=bool)
    strip[height - strip_height(height) :] = True
    image[strip[:, 0]] = draw_strip(
        spec.camera_id, camera.make, spec.captured_at, spec.temperature_c,
        is_alternate=spec.has_alternate_strip and camera.has_alternate_strip, width=width, height=height,
    )  # fmt: skip
    animal = (visible > 0.5) & ~strip
    prop = scenery.prop_mask & ~animal & ~strip if has_prop else np.zeros_like(strip)
    return Scene(spec, image, animal, (marked > 0) & ~strip, prop, strip)


_GREY = np.array([0.42, 0.40, 0.18], dtype=np.float32)
"""What an infrared sensor makes of red, green and blue."""
_VEIL = np.array([0.76, 0.79, 0.80], dtype=np.float32)
"""Colour of fog by day."""
_RIM = 0.15
"""A mark that covers less of a pixel than this does not count; on a sharp lens it is not painted either."""
_FUR = np.array([0.70, 0.555, 0.385], dtype=np.float32)
_MARK = np.array([0.13, 0.09, 0.065], dtype=np.float32)


def _paint_animal(
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
    affine = body_to_picture(pose, faces_right=spec.flank == "right", width=width, height=height)
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
    marks[marks < _RIM] = 0.0
    inverse = np.linalg.inv(local[:, :2])
    row = np.arange(size[1], dtype=np.float32)[:, None] - np.float32(local[1, 2])
    column = np.arange(size[0], dtype=np.float32)[None, :] - np.float32(local[0, 2])
    down = row * np.float32(inverse[1, 1]) + column * np.float32(inverse[1, 0])
    grain = np.random.default_rng([spec.seed, 43]).standard_normal((size[1], size[0]), dtype=np.float32)
    # Countershading from back to belly, fur grain, and the far legs in the body's shadow.
    light = 1.06 - 0.42 * np.clip(down * 2, 0, 1) ** 2 + 0.10 * np.clip(down * 2.5 - 1.25, 0, 1)
    light *= (1 + 0.22 * spec.coat_tone) * (1 + 0.05 * grain) * (1 - 0.38 * np.where(down > 0.42, shaded, 0.0))
    ground = _shadow(pose, size, local)
    target = picture[window]
    target *= (1 - 0.45 * ground)[..., None]
    # The whole animal is as far away as its feet.
    foot = (int(np.clip(pose.y, 0.0, 0.999) * height), int(np.clip(pose.x, 0.0, 0.999) * width))
    veil = conditions.fog * (0.35 + 0.65 * float(scenery.depth[foot[0], 0]))
    if conditions.light == "infrared":
        # Grey planes are painted once and spread to the three channels at the end.
        flash = float(scenery.flash[foot]) * 1.4 * conditions.brightness + 0.05
        grey = light * float(_FUR @ _GREY)
        grey += (float(_MARK @ _GREY) - grey) * (0.86 * marks)
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
            colour += (float(_VEIL[channel]) - colour) * veil
            plane = target[..., channel]
            plane += (colour - plane) * body
    visible[window] = body
    marked[window] = marks


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


def _expose(scene: np.ndarray, scenery: Backdrop, conditions: Conditions, warmth: float) -> np.ndarray:
    """The empty scene in its light and fog, as a new array."""
    haze = conditions.fog * (0.35 + 0.65 * scenery.depth)
    if conditions.light == "infrared":
        grey = scene @ _GREY
        grey *= scenery.flash * (1.75 * conditions.brightness)
        grey += 0.02
        # Fog throws the flash back.
        grey += (0.62 * (0.55 + 0.45 * scenery.flash) - grey) * haze
        return np.repeat(grey[..., None], 3, axis=2)
    gain = np.array([1 + warmth, 1.0, 1 - warmth], dtype=np.float32) * np.float32(conditions.brightness)
    picture = scene * gain
    if conditions.fog > 0:
        picture += (_VEIL - picture) * haze[..., None]
    return picture


def _defocus(picture: np.ndarray, marked: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Blur the picture, and the plane of the marks as far as a visible part of them is carried."""
    # Imported here, since only a fogged lens needs it and it doubles the time to import this package.
    from scipy.ndimage import gaussian_filter

    blurred = gaussian_filter(picture, (sigma, sigma, 0), truncate=2.0)
    reach = gaussian_filter(marked, sigma, truncate=2.0)
    return blurred, np.where(reach > _RIM, reach, 0.0)

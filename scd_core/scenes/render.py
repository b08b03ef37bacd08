"""From the description of a scene to its picture and the truth about each pixel."""

from __future__ import annotations

import numpy as np

from scd_core.scenes.animal import GREY, RIM, VEIL, paint_animal
from scd_core.scenes.background import Backdrop, backdrop
from scd_core.scenes.scene import Conditions, Scene, SceneSpec
from scd_core.scenes.strip import draw_strip, strip_height
from scd_core.scenes.world import World

__all__ = ["render"]


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
        paint_animal(picture, visible, marked, spec, coat, scenery, warmth)
    if conditions.twigs is not None:
        colour, opacity = scenery.twigs[conditions.twigs % len(scenery.twigs)]
        # Twigs are near: they catch most of the flash and little fog.
        near = colour * (conditions.brightness * (0.5 if conditions.light == "infrared" else 1.0))
        if conditions.light == "infrared":
            near = np.repeat((near @ GREY)[..., None], 3, axis=2)
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


def _expose(scene: np.ndarray, scenery: Backdrop, conditions: Conditions, warmth: float) -> np.ndarray:
    """The empty scene in its light and fog, as a new array."""
    haze = conditions.fog * (0.35 + 0.65 * scenery.depth)
    if conditions.light == "infrared":
        grey = scene @ GREY
        grey *= scenery.flash * (1.75 * conditions.brightness)
        grey += 0.02
        # Fog throws the flash back.
        grey += (0.62 * (0.55 + 0.45 * scenery.flash) - grey) * haze
        return np.repeat(grey[..., None], 3, axis=2)
    gain = np.array([1 + warmth, 1.0, 1 - warmth], dtype=np.float32) * np.float32(conditions.brightness)
    picture = scene * gain
    if conditions.fog > 0:
        picture += (VEIL - picture) * haze[..., None]
    return picture


def _defocus(picture: np.ndarray, marked: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Blur the picture, and the plane of the marks as far as a visible part of them is carried."""
    # Imported here, since only a fogged lens needs it and it doubles the time to import this package.
    from scipy.ndimage import gaussian_filter

    blurred = gaussian_filter(picture, (sigma, sigma, 0), truncate=2.0)
    reach = gaussian_filter(marked, sigma, truncate=2.0)
    return blurred, np.where(reach > RIM, reach, 0.0)

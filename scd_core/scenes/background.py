"""What a camera always sees: ground, vegetation, furniture, its prop, and the twigs close to its lens."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from scd_core.scenes.world import Camera

__all__ = ["Backdrop", "backdrop"]


@dataclass(frozen=True)
class Backdrop:
    """Everything that is the same in all pictures of a camera; arrays are float32, values 0-1, and never written to."""

    day: np.ndarray
    """(H, W, 3) in even light."""
    day_with_prop: np.ndarray
    """(H, W, 3); the same as ``day`` where the camera has no prop."""
    prop_mask: np.ndarray
    """(H, W) bool."""
    depth: np.ndarray
    """(H, 1) distance, 0 near to 1 far: how much fog lies before a row."""
    flash: np.ndarray
    """(H, W) gain of the infrared flash, which falls off with distance and to the corners."""
    twigs: tuple[tuple[np.ndarray, np.ndarray], ...]
    """Foreground layers: colour (H, W, 3) and opacity (H, W)."""
    horizon: float
    """Where the ground begins, share of the height."""


@lru_cache(maxsize=96)
def backdrop(camera: Camera, width: int, height: int) -> Backdrop:
    """Paint a camera's backdrop; kept, since all scenes of the camera share it."""
    rng = np.random.default_rng([camera.seed, 3])
    horizon = float(rng.uniform(0.34, 0.48))
    painted = _landscape(rng, width, height, horizon)
    _vegetation(rng, painted, width, height, horizon)
    for index, piece in enumerate(camera.furniture):
        _furniture(rng, painted, piece, index, width, height, horizon)
    grain = 1.0 + 0.09 * _noise(rng, width, height, 1.6) + 0.10 * _noise(rng, width, height, 5)
    # Soil and grass are grainy, what lies beyond the clearing is out of focus.
    below = np.linspace(0, 1, height)[:, None] > horizon
    day = _as_array(painted) * np.where(below, grain, 1 + 0.35 * (grain - 1))[..., None]
    with_prop, prop_mask = day, np.zeros((height, width), dtype=bool)
    if camera.prop is not None:
        with_prop, prop_mask = _with_prop(camera, day, width, height)
    rows = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    depth = np.clip(1.0 - (rows - horizon) / (1.0 - horizon), 0.12, 1.0)
    columns = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    corner = columns**2 * 0.75 + ((rows - 0.62) * 1.7) ** 2
    flash = (0.10 + 0.95 * np.exp(-1.5 * corner)) * (1.0 - 0.72 * depth**1.5)
    return Backdrop(
        day=np.clip(day, 0, 1).astype(np.float32),
        day_with_prop=np.clip(with_prop, 0, 1).astype(np.float32),
        prop_mask=prop_mask,
        depth=depth.astype(np.float32),
        flash=flash.astype(np.float32),
        twigs=tuple(_twigs(rng, width, height) for _ in range(4)),
        horizon=horizon,
    )


def _as_array(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture, dtype=np.float32) / 255.0


def _noise(rng: np.random.Generator, width: int, height: int, cell: float) -> np.ndarray:
    """Smooth noise of unit variance with the given feature size in pixels at 240 rows."""
    cell = max(1.0, cell * height / 240)
    coarse = rng.standard_normal((int(height / cell) + 2, int(width / cell) + 2)).astype(np.float32)
    picture = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(picture)


def _shade(rng: np.random.Generator, base: tuple[int, int, int], spread: float) -> tuple[int, int, int]:
    factor = 1.0 + spread * rng.uniform(-1, 1)
    red, green, blue = (int(np.clip(value * factor + rng.uniform(-8, 8), 0, 255)) for value in base)
    return red, green, blue


_GREENS = ((66, 92, 44), (86, 108, 52), (54, 76, 40), (104, 112, 62))
_SOILS = ((136, 112, 80), (118, 104, 76), (150, 128, 92), (112, 110, 66))


def _landscape(rng: np.random.Generator, width: int, height: int, horizon: float) -> Image.Image:
    """Bright haze above, soil below, blotched at several scales."""
    soil = np.array(_SOILS[int(rng.integers(len(_SOILS)))], dtype=np.float32)
    green = np.array(_GREENS[int(rng.integers(len(_GREENS)))], dtype=np.float32)
    sky = np.array([178, 190, 184], dtype=np.float32) * rng.uniform(0.8, 1.05)
    rows = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    edge = horizon + 0.025 * _noise(rng, width, height, 40)
    above = np.clip((edge - rows) / 0.05, 0, 1)[..., None]
    ground_mix = np.clip(0.45 + 0.30 * _noise(rng, width, height, 34) + 0.20 * _noise(rng, width, height, 11), 0, 1)[
        ..., None
    ]
    ground = soil * ground_mix + green * (1 - ground_mix)
    ground = ground * (0.80 + 0.30 * rows[..., None])
    leaves = np.clip(0.55 + 0.42 * _noise(rng, width, height, 18) + 0.25 * _noise(rng, width, height, 6), 0, 1)[
        ..., None
    ]
    far = sky * (1 - leaves) + green * 1.12 * leaves
    return Image.fromarray(np.clip(far * above + ground * (1 - above), 0, 255).astype(np.uint8))


def _vegetation(rng: np.random.Generator, picture: Image.Image, width: int, height: int, horizon: float) -> None:
    """Distant trunks, bushes and tufts of grass."""
    draw = ImageDraw.Draw(picture)
    for _ in range(int(rng.integers(3, 9))):
        x, wide = rng.uniform(0, width), rng.uniform(0.006, 0.02) * width
        lean = rng.uniform(-0.05, 0.05) * width
        foot = (horizon + rng.uniform(-0.01, 0.07)) * height
        draw.polygon(
            [(x + lean, 0), (x + lean + wide, 0), (x + wide * 1.3, foot), (x, foot)],
            fill=_shade(rng, (70, 62, 50), 0.25),
        )
    for _ in range(int(rng.integers(25, 60))):
        x, y = rng.uniform(0, width), (horizon + rng.uniform(-0.12, 0.03)) * height
        rx, ry = rng.uniform(0.01, 0.045) * width, rng.uniform(0.01, 0.04) * height
        draw.ellipse([x - rx, y - ry, x + rx, y + ry], fill=_shade(rng, _GREENS[int(rng.integers(4))], 0.3))
    for _ in range(int(rng.integers(150, 350))):
        depth = rng.beta(1.2, 1.4)
        x, y = rng.uniform(0, width), (horizon + 0.02 + depth * (0.98 - horizon)) * height
        tall = (0.015 + 0.06 * depth) * height * rng.uniform(0.5, 1.2)
        tone = _shade(rng, _GREENS[int(rng.integers(4))], 0.35)
        for blade in rng.uniform(-0.5, 0.5, size=3):
            draw.line([(x, y), (x + blade * tall, y - tall)], fill=tone, width=max(1, round(height / 240)))


def _furniture(
    rng: np.random.Generator, picture: Image.Image, piece: str, index: int, width: int, height: int, horizon: float
) -> None:
    """A rock, or a trunk close by."""
    draw = ImageDraw.Draw(picture)
    side = rng.uniform(0.03, 0.20)
    x = (side if (index % 2 == 0) == (rng.random() < 0.5) else 1 - side) * width
    if piece == "trunk":
        wide, foot = rng.uniform(0.04, 0.075) * width, (horizon + rng.uniform(0.12, 0.3)) * height
        tone = _shade(rng, (88, 74, 58), 0.2)
        draw.polygon([(x - wide / 2, 0), (x + wide / 2, 0), (x + wide * 0.75, foot), (x - wide * 0.7, foot)], fill=tone)
        for _ in range(26):
            streak = x + rng.uniform(-0.48, 0.48) * wide
            top, tall = rng.uniform(0, 0.85) * foot, rng.uniform(0.05, 0.16) * foot
            draw.line([(streak, top), (streak + rng.uniform(-1, 1), top + tall)], fill=_shade(rng, (62, 52, 42), 0.3))
        return
    y, radius = (horizon + rng.uniform(0.12, 0.3)) * height, rng.uniform(0.06, 0.10) * width
    turn = np.linspace(0, 2 * np.pi, 13, endpoint=False)
    outline = np.stack([np.cos(turn), np.sin(turn) * 0.65], 1) * radius * (1 + 0.14 * rng.uniform(-1, 1, (13, 1)))
    for shrink, tone in ((1.0, (78, 76, 70)), (0.86, (104, 102, 96)), (0.6, (126, 124, 116))):
        shape = outline * shrink + np.array([x - (1 - shrink) * radius * 0.3, y - (1 - shrink) * radius * 0.35])
        draw.polygon([(px, py) for px, py in shape.tolist()], fill=tone)


def _with_prop(camera: Camera, day: np.ndarray, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """The backdrop with the prop before it.

    The prop is fine-grained and about as bright as what surrounds it, so that it identifies a lot while it is sharp and
    little once it is blurred.
    """
    unit = height / 240
    layer, mask = Image.new("RGB", (width, height)), Image.new("L", (width, height))
    draw, cut = ImageDraw.Draw(layer), ImageDraw.Draw(mask)
    around = day[int(0.4 * height) : int(0.8 * height)].mean(axis=(0, 1))
    light = tuple(int(v) for v in np.clip(around * 1.75 * 255, 0, 255))
    dark = tuple(int(v) for v in np.clip(around * 0.25 * 255, 0, 255))
    x, foot = camera.prop_x * width, 0.70 * height

    def box(left: float, top: float, right: float, bottom: float, fill: tuple[int, ...]) -> None:
        corners = [x + left * unit, foot + top * unit, x + right * unit, foot + bottom * unit]
        draw.rectangle(corners, fill=fill)
        cut.rectangle(corners, fill=255)

    if camera.prop == "feeding_station":
        for post in (-27, 24):
            box(post, -72, post + 3, 0, dark)
        slats = 13
        for slat in range(slats):
            left = -30 + slat * 60 / slats
            box(left, -52, left + 60 / slats, -16, light if slat % 2 == 0 else dark)
        box(-33, -56, 33, -52, dark)
        box(-33, -16, 33, -13, dark)
        roof = [(x - 38 * unit, foot - 70 * unit), (x, foot - 86 * unit), (x + 38 * unit, foot - 70 * unit)]
        draw.polygon(roof, fill=tuple(int(0.5 * (a + b)) for a, b in zip(light, dark)))
        cut.polygon(roof, fill=255)
        for line in range(-36, 38, 8):
            draw.line(
                [(x, foot - 86 * unit), (x + line * unit, foot - 70 * unit)], fill=dark, width=max(1, round(unit))
            )
    else:
        for band in range(16):
            box(-4, -96 + band * 6, 4, -90 + band * 6, light if band % 2 == 0 else dark)
    opacity = (_as_array(mask) > 0.5)[..., None]
    return np.where(opacity, _as_array(layer), day), opacity[..., 0]


def _twigs(rng: np.random.Generator, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Grass or a branch close to the lens, out of focus."""
    colour, opacity = Image.new("RGB", (width, height)), Image.new("L", (width, height))
    draw, cut = ImageDraw.Draw(colour), ImageDraw.Draw(opacity)
    colour.paste(_shade(rng, (74, 84, 46), 0.2), (0, 0, width, height))
    middle = rng.uniform(0.2, 0.8) * width
    if rng.random() < 0.6:
        for _ in range(int(rng.integers(16, 30))):
            x = middle + rng.normal(0, 0.11) * width
            top, lean = rng.uniform(0.42, 0.8) * height, rng.normal(0, 0.06) * width
            line = [(x, height), (x + lean * 0.4, (top + height) / 2), (x + lean, top)]
            wide = max(1, round(rng.uniform(1, 3.5) * height / 240))
            draw.line(line, fill=_shade(rng, _GREENS[int(rng.integers(4))], 0.3), width=wide)
            cut.line(line, fill=255, width=wide)
    else:
        y, slope = rng.uniform(0.45, 0.75) * height, rng.uniform(-0.25, 0.25) * height
        wide = max(2, round(rng.uniform(3, 6) * height / 240))
        line = [(0, y), (middle, y + slope * 0.5), (width, y + slope)]
        draw.line(line, fill=_shade(rng, (60, 50, 38), 0.2), width=wide)
        cut.line(line, fill=255, width=wide)
        for _ in range(14):
            at = rng.uniform(0, 1)
            x0, y0, size = at * width, y + slope * at, rng.uniform(3, 8) * height / 240
            leaf = [x0 - size, y0 - size * 0.6, x0 + size * 0.5, y0 + size * 0.6]
            draw.ellipse(leaf, fill=_shade(rng, _GREENS[int(rng.integers(4))], 0.3))
            cut.ellipse(leaf, fill=255)
    blur = ImageFilter.GaussianBlur(0.8 * height / 240)
    return _as_array(colour.filter(blur)), _as_array(opacity.filter(blur))

"""Coat marks of a flank as a texture in body coordinates."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from scd_core.scenes.body import TORSO
from scd_core.scenes.world import Coat

__all__ = ["CANVAS", "coat_texture"]

CANVAS = (-0.15, -0.12, 1.2, 0.55)
"""Part of the body that a texture covers: x_min, y_min, x_max, y_max, in torso lengths."""

_MASTER = 384
_LEVELS = (24, 32, 48, 64, 96, 128, 192, 256, 384)


@lru_cache(maxsize=4096)
def coat_texture(coat: Coat, pixels_per_length: float) -> tuple[Image.Image, float]:
    """Marks of a flank as an 8-bit picture, 255 = mark, and the resolution it has, pixels per torso length.

    The resolution is the smallest level at least ``pixels_per_length``, so that warping it never skips pixels.
    """
    level = next((step for step in _LEVELS if step >= pixels_per_length), _LEVELS[-1])
    return _texture(coat, level), float(level)


@lru_cache(maxsize=1024)
def _texture(coat: Coat, level: int) -> Image.Image:
    x_min, y_min, x_max, y_max = CANVAS
    master = _draw(coat)
    if level == _MASTER:
        return master
    size = (round((x_max - x_min) * level), round((y_max - y_min) * level))
    return master.resize(size, Image.Resampling.BOX)


def _draw(coat: Coat) -> Image.Image:
    """Draw the marks at full resolution, clipped to the torso."""
    x_min, y_min, x_max, y_max = CANVAS
    size = (round((x_max - x_min) * _MASTER), round((y_max - y_min) * _MASTER))
    picture = Image.new("L", size)
    draw = ImageDraw.Draw(picture)
    origin = np.array([x_min, y_min])
    for outline, hole in _marks(coat):
        draw.polygon([tuple(point) for point in (outline - origin) * _MASTER], fill=255)
        if hole is not None:
            draw.polygon([tuple(point) for point in (hole - origin) * _MASTER], fill=0)
    torso = Image.new("L", size)
    ImageDraw.Draw(torso).polygon([tuple(point) for point in (TORSO - origin) * _MASTER], fill=255)
    return Image.fromarray(np.minimum(np.asarray(picture), np.asarray(torso)))


def _marks(coat: Coat) -> list[tuple[np.ndarray, np.ndarray | None]]:
    """Outlines of the marks and of the holes in them, each (points, 2) in torso lengths."""
    rng = np.random.default_rng([coat.seed, 5])
    # Drawn from a stream of their own, so that a twin's other marks stay where its twin has them.
    other = np.random.default_rng([coat.seed, 6])
    spacing = 1.0 / coat.density
    angle = np.deg2rad(coat.angle)
    along = np.array([np.sin(angle), -np.cos(angle)])
    across = np.array([np.cos(angle), np.sin(angle)])
    if coat.kind == "stripes":
        centres = _stripe_centres(rng, across, spacing)
    else:
        step_along = {"dashes": 1.9, "blotches": 1.0}.get(coat.kind, 0.95) * spacing
        centres = _lattice(rng, along, across, step_along, spacing)
    altered = _altered(coat, centres, other)
    marks = []
    for index, centre in enumerate(centres):
        draws = rng.uniform(-1, 1, size=16)
        if index in altered:
            if other.random() < 0.35:
                continue
            centre = (
                centre
                + across * spacing * float(other.choice([-0.5, 0.5]))
                + along * spacing * other.uniform(-0.5, 0.5)
            )
            draws = other.uniform(-1, 1, size=16)
        marks.append(_mark(coat.kind, centre, spacing, along, across, draws))
    return marks


def _altered(coat: Coat, centres: np.ndarray, rng: np.random.Generator) -> set[int]:
    """Which marks lie elsewhere: the coat's share `altered` of those well on the body, at least one."""
    if coat.altered == 0.0:
        return set()
    low, high = np.array([0.05, 0.0]), np.array([1.0, 0.4])
    seen = np.flatnonzero(((centres > low) & (centres < high)).all(axis=1))
    return set(rng.permutation(seen)[: max(1, round(coat.altered * len(seen)))].tolist())


def _stripe_centres(rng: np.random.Generator, across: np.ndarray, spacing: float) -> np.ndarray:
    count = int(1.4 / spacing) + 1
    offsets = (np.arange(count) - count / 2 + rng.uniform(-0.25, 0.25, size=count)) * spacing
    return np.array([0.52, 0.2]) + offsets[:, None] * across


def _lattice(
    rng: np.random.Generator, along: np.ndarray, across: np.ndarray, step_along: float, step_across: float
) -> np.ndarray:
    """Jittered brick lattice over the torso, (marks, 2)."""
    rows, columns = int(1.5 / step_along) + 1, int(1.5 / step_across) + 1
    row, column = np.meshgrid(np.arange(rows) - rows / 2, np.arange(columns) - columns / 2, indexing="ij")
    row = row + 0.5 * (np.arange(columns) % 2)
    jitter = rng.uniform(-0.24, 0.24, size=(2, rows, columns))
    points = (row + jitter[0])[..., None] * step_along * along + (column + jitter[1])[..., None] * step_across * across
    points = points.reshape(-1, 2) + np.array([0.52, 0.2])
    inside = (points[:, 0] > -0.1) & (points[:, 0] < 1.15) & (points[:, 1] > -0.1) & (points[:, 1] < 0.52)
    return points[inside]


_TURN = np.linspace(0, 2 * np.pi, 14, endpoint=False)


def _mark(
    kind: str, centre: np.ndarray, spacing: float, along: np.ndarray, across: np.ndarray, draws: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None]:
    """Outline of one mark and of the hole in it; ``draws`` are 16 numbers in [-1, 1] that give it its own shape."""
    if kind == "stripes":
        steps = np.linspace(-0.6, 0.6, 9)
        wave = 0.16 * spacing * np.sin(steps * 9 + 3 * draws[0]) + 0.06 * spacing * draws[1:10]
        half = spacing * (0.24 + 0.05 * draws[10]) * (1 - 0.35 * np.abs(steps))
        line = centre + steps[:, None] * along
        return np.concatenate(
            [line + (wave - half)[:, None] * across, (line + (wave + half)[:, None] * across)[::-1]]
        ), None
    wobble = 1.0 + 0.13 * draws[:14]
    circle = np.cos(_TURN)[:, None] * along + np.sin(_TURN)[:, None] * across
    if kind == "dashes":
        shape = np.cos(_TURN)[:, None] * along * 0.78 + np.sin(_TURN)[:, None] * across * 0.25
        return centre + shape * spacing * wobble[:, None], None
    if kind == "blotches":
        shape = circle * (1.0 + 0.35 * draws[:14])[:, None]
        return centre + shape * spacing * (0.40 + 0.08 * draws[14]), None
    radius = spacing * (0.33 + 0.05 * draws[14]) if kind == "spots" else spacing * (0.43 + 0.04 * draws[14])
    outline = centre + circle * (radius * wobble)[:, None]
    return outline, centre + circle * 0.52 * radius if kind == "rosettes" else None

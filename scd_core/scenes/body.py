"""The quadruped: its outline in body coordinates, its pose, and where a pose puts it in the picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

__all__ = ["FEET", "TORSO", "Pose", "body_to_picture", "draw_silhouette"]


def _smooth(points: list[tuple[float, float]], steps: int = 6) -> np.ndarray:
    """Closed Catmull-Rom curve through the points, (points * steps, 2)."""
    knots = np.array(points)
    before, after, beyond = np.roll(knots, 1, 0), np.roll(knots, -1, 0), np.roll(knots, -2, 0)
    t = (np.arange(steps) / steps)[None, :, None]
    k, b, a, c = (part[:, None, :] for part in (knots, before, after, beyond))
    curve = 0.5 * (2 * k + (a - b) * t + (2 * b - 5 * k + 4 * a - c) * t**2 + (3 * k - b - 3 * a + c) * t**3)
    return curve.reshape(-1, 2)


# Body coordinates: one torso length from rump (x = 0) to chest (x = 1), y downwards from the back to the ground.
TORSO = _smooth(
    [(-0.04, 0.15), (0.05, 0.02), (0.22, -0.03), (0.45, 0.02), (0.70, -0.02), (0.86, -0.05), (1.00, 0.02),
     (1.07, 0.17), (1.00, 0.34), (0.86, 0.42), (0.62, 0.41), (0.38, 0.36), (0.20, 0.40), (0.04, 0.36), (-0.05, 0.26)]
)  # fmt: skip
"""Outline of the torso in torso lengths, (points, 2)."""

FEET = 0.84
"""How far below the back the feet stand, torso lengths."""


@dataclass(frozen=True)
class Pose:
    """How the animal stands and where: lengths as shares of the picture's width or height."""

    x: float
    """Middle of the body, share of the width."""
    y: float
    """Ground under the body, share of the height."""
    length: float
    """Torso length seen from the side, share of the width."""
    foreshortening: float
    """Length seen over length: 1 from the side, less when it walks towards or away."""
    pitch: float
    """Slope it walks on, degrees, nose down positive."""
    gait: float
    """Phase of the walk, 0-1."""
    head: float
    """0 head carried high, 1 nose to the ground."""
    tail: float
    """-1 hanging, 1 raised."""


def body_to_picture(pose: Pose, *, faces_right: bool, width: int, height: int) -> np.ndarray:
    """Affine map (2, 3) from body coordinates (torso lengths) to picture coordinates (pixels)."""
    scale = pose.length * width
    direction = 1.0 if faces_right else -1.0
    angle = np.deg2rad(pose.pitch) * direction
    cos, sin = np.cos(angle), np.sin(angle)
    linear = np.array([[cos, -sin], [sin, cos]]) @ np.diag([direction * scale * pose.foreshortening, scale])
    origin = np.array([pose.x * width, pose.y * height]) - linear @ np.array([0.5, FEET])
    return np.concatenate([linear, origin[:, None]], axis=1)


def draw_silhouette(
    pose: Pose, affine: np.ndarray, size: tuple[int, int]
) -> tuple[Image.Image, Image.Image, np.ndarray]:
    """Draw the animal's outline.

    Args:
        pose: how it stands.
        affine: (2, 3) map from body coordinates to the pixels of the canvas.
        size: canvas width and height, pixels.

    Returns:
        The whole outline and its far legs alone (they lie in shadow), 8-bit, 255 = animal, and the eye's place in
        pixels, (2,).
    """
    whole, far = Image.new("L", size), Image.new("L", size)
    draw, draw_far = ImageDraw.Draw(whole), ImageDraw.Draw(far)

    def polygon(canvas: ImageDraw.ImageDraw, points: np.ndarray) -> None:
        placed = points @ affine[:, :2].T + affine[:, 2]
        canvas.polygon([(x, y) for x, y in placed.tolist()], fill=255)

    for hip, offset in (((0.13, 0.25), 0.5), ((0.90, 0.25), 0.0)):
        leg = _leg(hip, pose.gait + offset + 0.5, is_hind=hip[0] < 0.5)
        polygon(draw, leg)
        polygon(draw_far, leg)
    polygon(draw, _tail(pose.tail))
    polygon(draw, TORSO)
    head_at = np.array([1.20, -0.08]) * (1 - pose.head) + np.array([1.26, 0.42]) * pose.head
    for part in _head(head_at, pose.head):
        polygon(draw, part)
    for hip, offset in (((0.11, 0.24), 0.5), ((0.88, 0.26), 0.0)):
        polygon(draw, _leg(hip, pose.gait + offset, is_hind=hip[0] < 0.5))
    eye = (head_at + np.array([0.03, -0.03])) @ affine[:, :2].T + affine[:, 2]
    return whole, far, eye


def _leg(hip: tuple[float, float], phase: float, *, is_hind: bool) -> np.ndarray:
    """Thigh, shank and paw; the phase swings the foot forwards and back."""
    swing = np.sin(2 * np.pi * phase)
    lift = max(0.0, np.cos(2 * np.pi * phase)) * 0.05
    foot = np.array([hip[0] + 0.16 * swing, FEET - lift])
    bend = -0.06 if is_hind else 0.03
    knee = np.array([hip[0] + 0.07 * swing - bend, 0.54])
    top = np.array(hip)
    thigh, shank = (0.13, 0.055) if is_hind else (0.10, 0.05)
    return np.array(
        [
            (top[0] - thigh, top[1]), (knee[0] - shank * 1.15, knee[1]), (foot[0] - shank * 0.8, foot[1] - 0.05),
            (foot[0] - shank * 0.8, foot[1]), (foot[0] + shank * 1.9, foot[1]), (foot[0] + shank * 1.6, foot[1] - 0.04),
            (foot[0] + shank * 0.8, foot[1] - 0.07), (knee[0] + shank * 1.15, knee[1]), (top[0] + thigh, top[1]),
        ]
    )  # fmt: skip


def _tail(raised: float) -> np.ndarray:
    steps = np.linspace(0, 1, 8)
    x = -0.02 - 0.34 * steps**0.8 - 0.06 * np.sin(steps * 3)
    y = 0.10 + (0.42 - 0.5 * (raised + 1) / 2) * steps + 0.10 * np.sin(steps * 5) * (raised + 1.4) / 2
    half = 0.042 - 0.014 * steps
    return np.concatenate([np.stack([x, y - half], 1), np.stack([x, y + half], 1)[::-1]])


_CIRCLE = np.stack([np.cos(np.linspace(0, 2 * np.pi, 18)), np.sin(np.linspace(0, 2 * np.pi, 18))], 1)


def _head(at: np.ndarray, lowered: float) -> list[np.ndarray]:
    """Neck, skull, muzzle and two ears."""
    tilt = 0.25 + 0.7 * lowered
    turn = np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]])
    neck = np.array([(0.84, -0.05), at + np.array([-0.05, -0.10]), at + np.array([0.0, 0.10]), (1.03, 0.32)])
    skull = at + _CIRCLE * (0.135, 0.112)
    muzzle = at + (_CIRCLE * (0.085, 0.062) + (0.125, 0.028)) @ turn.T
    ears = [at + np.array([(x, -0.07), (x + 0.02, -0.175), (x + 0.075, -0.085)]) for x in (-0.10, 0.0)]
    return [neck, skull, muzzle, *ears]

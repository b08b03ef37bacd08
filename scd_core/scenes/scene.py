"""The description of a scene, and a picture with the truth about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np

from scd_core.boxes import Box
from scd_core.names import Cause, Flank
from scd_core.scenes.body import Pose
from scd_core.scenes.world import Coat, Plant

__all__ = ["Conditions", "Scene", "SceneSpec"]


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


SLIPPING_LABELLER = "annotator-2"
"""Who makes the mistakes of a plant ``labels``: one of the two that label a world, each every second day."""


def labeller(captured_at: datetime) -> str:
    """Who labels the pictures of a day."""
    return f"annotator-{1 + captured_at.toordinal() % 2}"


@dataclass(frozen=True)
class SceneSpec:
    """All that a picture shows: rendering it needs nothing else, so any field can be changed to see *what if*."""

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
    def bbox(self) -> Box | None:
        """Box of the visible animal: x_min, y_min, width, height as shares of the picture; None where none is seen."""
        rows, columns = np.flatnonzero(self.animal_mask.any(1)), np.flatnonzero(self.animal_mask.any(0))
        if not rows.size:
            return None
        height, width = self.animal_mask.shape
        x, y = columns[0] / width, rows[0] / height
        return float(x), float(y), float((columns[-1] + 1) / width - x), float((rows[-1] + 1) / height - y)

    @property
    def cause(self) -> Cause | None:
        """Cause of the planted error, as in the ``errors`` table; None where nothing is planted."""
        return self.spec.plant.cause if self.spec.plant else None

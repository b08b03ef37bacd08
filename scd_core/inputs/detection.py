"""One box of a detector: where it is, and whether it is an animal's, hidden, or not usable."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scd_core.boxes import Box
from scd_core.inputs.categories import NOTHING, is_nameless
from scd_core.names import Category

__all__ = ["HIDDEN", "Detection"]

HIDDEN = (Category.PERSON, Category.VEHICLE)
"""Categories that are neither classified nor shown."""


@dataclass(frozen=True)
class Detection:
    """One box of a detector."""

    detection_id: str
    """Place of the box in its image's list, counted from 0."""
    category: str
    """As :func:`scd_core.inputs.categories.category_of` gives it: animal, person, vehicle, leopard, ..."""
    confidence: float
    """0-1; NaN where the file holds no number."""
    bbox: Box
    """As given, not yet clipped."""

    @property
    def is_animal(self) -> bool:
        """Of an animal: every category with a name that is no person, vehicle or nothing, such as a species."""
        return self.is_named and self.category not in HIDDEN and self.category not in NOTHING

    @property
    def is_redacted(self) -> bool:
        """Of a person or a vehicle, or of a category that has no name and may be anybody: neither classified nor shown."""
        return self.category in HIDDEN or not self.is_named

    @property
    def is_named(self) -> bool:
        """Whether the category is a name, not a number that the file does not explain or a word such as ``unknown``."""
        return not is_nameless(self.category)

    def problem(self) -> str | None:
        """Why the box cannot be used, in words; None where it can."""
        if place := self.place_problem():
            return place
        if not math.isfinite(self.confidence):
            return "confidence is not a number"
        return None if 0 <= self.confidence <= 1 else f"confidence {self.confidence:g} is no number of 0-1"

    def place_problem(self) -> str | None:
        """Why the box is nowhere in the image, in words; None where it is somewhere."""
        if not all(math.isfinite(value) for value in self.bbox):
            return f"box {self.bbox} is not finite"
        _, _, width, height = self.clipped()
        if width <= 0 or height <= 0:
            return f"box {self.bbox} has no area inside the image"
        return None

    def clipped(self) -> Box:
        """The box cut to the image."""
        x, y, width, height = self.bbox
        left, top = max(0.0, x), max(0.0, y)
        return left, top, min(1.0, x + width) - left, min(1.0, y + height) - top

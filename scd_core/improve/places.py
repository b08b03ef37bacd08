"""Animals set into the place of another camera: one rule for the training set that is taken away and for fine-tuning."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from scd_core.boxes import Box, box_from_row, covering_box, crop_box
from scd_core.improve.labelled import Labelled
from scd_core.improve.pictures import iter_labelled

__all__ = ["Place", "content_draw", "content_name", "find_places", "place_for", "smaller", "swap_place"]

SIDE = 1024
"""Longer side of a frame that is kept as a place, or written (pixels); a larger one is made smaller."""

MOST_PLACES = 24
"""Most cameras whose places animals are set into; one frame of each is held."""


@dataclass(frozen=True)
class Place:
    """A frame of a camera, and where its own animal is."""

    image: Image.Image
    box: Box | None


def content_draw(row: Mapping[str, Any], purpose: str = "") -> np.random.Generator:
    """Random numbers of a labelled target for one purpose; the same wherever its picture lies.

    Args:
        row: row of the query `labelled`; where the bytes are not known its address counts.
        purpose: what is drawn; other purposes get other numbers.
    """
    return np.random.default_rng(int(hashlib.sha256(f"{content_name(row)}:{purpose}".encode()).hexdigest()[:16], 16))


def content_name(row: Mapping[str, Any]) -> str:
    """What stands for a labelled target: its picture's bytes and its detection, or its address where they are not known."""
    content = row["content_sha256"]
    return str(row["target_id"]) if content is None else f"{content}:{row['detection_id'] or ''}"


def place_for(row: Mapping[str, Any], cameras: Sequence[str], purpose: str = "") -> str | None:
    """Another camera, in whose place the animal of a target is set; None where there is no other.

    Args:
        row: row of the query `labelled`.
        cameras: those of which a place is known.
        purpose: what it is drawn for.
    """
    others = sorted(name for name in cameras if name != row["camera"])
    return others[int(content_draw(row, purpose).integers(len(others)))] if others else None


def find_places(labelled: Labelled) -> dict[str, Place]:
    """A frame of each of up to 24 cameras, drawn by its content; none of a camera whose drawn frame cannot be read.

    Raises:
        RunError: the storage did not answer.
    """
    drawn: dict[str, int] = {}
    key = [hashlib.sha256(content_name(row).encode()).hexdigest() for row in labelled.rows]
    for number in sorted(range(len(key)), key=lambda number: key[number]):
        drawn.setdefault(labelled.rows[number]["camera"], number)
    chosen = labelled.take(np.array([drawn[camera] for camera in sorted(drawn)[:MOST_PLACES]], np.int64))
    found = iter_labelled(chosen, lambda row, image: Place(smaller(image), box_from_row(row)))
    return {chosen.rows[place]["camera"]: made for place, made in found if isinstance(made, Place)}


def swap_place(animal: Image.Image, box: Box, place: Image.Image, hidden: Box | None) -> Image.Image:
    """An animal, cut out by its box, set with soft edges into another place where it was in its own.

    The place's own animal is blurred away first, so that nobody else is learnt by this name.

    Args:
        animal: frame of the animal.
        box: where it is.
        place: frame of the other camera, of any size.
        hidden: where the place's own animal is; None where there is none.
    """
    ground = place.convert("RGB").resize(animal.size, Image.Resampling.BILINEAR)
    width, height = ground.size
    if hidden is not None:
        left, top, right, bottom = covering_box(hidden, width, height, margin=0.1, bleed=2)
        left, top, right, bottom = max(0, left), max(0, top), min(width, right), min(height, bottom)
        blurred = ground.filter(ImageFilter.GaussianBlur(max(right - left, bottom - top) / 3))
        ground.paste(blurred.crop((left, top, right, bottom)), (left, top))
    left, top, right, bottom = crop_box(box, width, height)
    edge = max(1, min(right - left, bottom - top) // 16)
    soft = Image.new("L", (right - left, bottom - top), 0)
    ImageDraw.Draw(soft).rectangle((edge, edge, right - left - edge - 1, bottom - top - edge - 1), fill=255)
    ground.paste(animal.crop((left, top, right, bottom)), (left, top), soft.filter(ImageFilter.GaussianBlur(edge / 2)))
    return ground


def smaller(image: Image.Image) -> Image.Image:
    """A frame with its longer side at most 1024 pixels."""
    scale = SIDE / max(image.size)
    if scale >= 1:
        return image
    return image.resize([max(1, round(side * scale)) for side in image.size], Image.Resampling.LANCZOS)

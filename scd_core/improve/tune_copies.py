"""What fine-tuning learns from: a few copies of each animal's picture, as the frozen part of the network gives them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from scd_core.boxes import Box, box_from_row, widened
from scd_core.identify.classifier import Classifier
from scd_core.identify.pictures import crop_to_box
from scd_core.improve.labelled import Labelled
from scd_core.improve.names import CopyKind
from scd_core.improve.pictures import iter_labelled
from scd_core.improve.places import Place, content_draw, find_places, place_for, smaller, swap_place
from scd_core.media import MediaError

__all__ = ["copies_of", "kinds_of", "write_copies"]

_BATCH = 8
_SHIFT = 0.08
"""Largest move of each edge of a copy's box, as a share of the box."""
_LIGHT = (0.8, 1.2)
"""Least and most brightness and contrast of a copy."""
_SURROUNDINGS = (0.05, 0.3)
"""Least and most margin by which a copy shows the other place around the box."""


def kinds_of(n_copies: int) -> tuple[CopyKind, ...]:
    """Kind of each copy of a picture: the first as it is, then moved, masked and set into other places in turns."""
    turns = (CopyKind.MOVED, CopyKind.MASKED, CopyKind.SWAPPED)
    return (CopyKind.PLAIN, *(turns[number % len(turns)] for number in range(n_copies - 1)))


def copies_of(
    row: Mapping[str, Any], frame: Image.Image, box: Box, places: Mapping[str, Place], n_copies: int
) -> list[Image.Image]:
    """Copies of an animal's picture that the network learns from; the first is what it is judged by.

    Args:
        row: row of the query `labelled`; copies are drawn by its content.
        frame: upright, persons filled with grey.
        box: where the animal is.
        places: camera -> a frame of it.
        n_copies: how many, at least 1.
    """
    found = [crop_to_box(frame, box)]
    for number, kind in enumerate(kinds_of(n_copies)[1:], 1):
        draw = content_draw(row, f"copy {number}")
        shown, part = frame, _moved(box, draw)
        if kind == CopyKind.SWAPPED:
            camera = place_for(row, list(places), f"place {number}")
            if camera is not None:
                shown = swap_place(smaller(frame), box, places[camera].image, places[camera].box)
                part = widened(box, float(draw.uniform(*_SURROUNDINGS)))
        crop = crop_to_box(shown, part)
        if kind == CopyKind.MASKED:
            crop = _masked(crop, draw)
        found.append(_lit(crop, draw))
    return found


def write_copies(
    path: Path,
    labelled: Labelled,
    classifier: Classifier,
    first: torch.nn.Module,
    n_copies: int,
    progress: Callable[[int], None] = lambda n: None,
) -> NDArray[np.float16]:
    """What the frozen part of the network gives of the copies of each target, kept as a file; read where it is there.

    Args:
        path: the file, ending in ``.npy``; written whole or not at all.
        labelled: the targets, each with a box.
        classifier: the model.
        first: the frozen part, on the model's device.
        n_copies: copies of each target.
        progress: called with the number of targets that are done.

    Returns:
        (N, copies, ...) as stored, read from the disk where it is used; zeros where a picture could not be read.

    Raises:
        RunError: the storage did not answer.
    """
    if not path.is_file():
        part = path.with_name(f"{path.stem}.part.npy")
        held: NDArray[np.float16] | None = None
        for places, given in _given(labelled, classifier, first, n_copies):
            if held is None:
                held = open_memmap(part, "w+", np.float16, (len(labelled.rows), *given.shape[1:]))
            held[places] = given
            progress(len(places))
        if held is None:
            raise ValueError("copies: expected at least one picture, got none")
        del held  # which writes it to the disk
        part.replace(path)
    found: NDArray[np.float16] = np.load(path, mmap_mode="r")
    return found


def _given(
    labelled: Labelled, classifier: Classifier, first: torch.nn.Module, n_copies: int
) -> Iterator[tuple[list[int], NDArray[np.float16]]]:
    """Places of some targets, and (B, copies, ...) of what the frozen part gives of them."""
    places = find_places(labelled)

    def prepare(row: Mapping[str, Any], image: Image.Image) -> torch.Tensor:
        box = box_from_row(row)
        assert box is not None
        return torch.stack([classifier.preprocess(one) for one in copies_of(row, image, box, places, n_copies)])

    found = ((place, one) for place, one in iter_labelled(labelled, prepare) if not isinstance(one, MediaError))
    while batch := list(islice(found, _BATCH)):
        inputs = torch.cat([one for _, one in batch])
        with torch.inference_mode():
            given = torch.cat([first(part).half().cpu() for part in classifier.passes(inputs)])
        yield [place for place, _ in batch], given.reshape(len(batch), n_copies, *given.shape[1:]).numpy()


def _moved(box: Box, draw: np.random.Generator) -> Box:
    """The box with each edge moved a little, inside the picture."""
    x, y, width, height = box
    left, top, right, bottom = draw.uniform(-_SHIFT, _SHIFT, 4)
    x_min, y_min = max(0.0, x + left * width), max(0.0, y + top * height)
    return x_min, y_min, min(1.0, x + width * (1 + right)) - x_min, min(1.0, y + height * (1 + bottom)) - y_min


def _masked(crop: Image.Image, draw: np.random.Generator) -> Image.Image:
    """The animal's middle alone: outside an ellipse the crop is grey or blurred (early masking, Aniraj et al. 2023)."""
    width, height = crop.size
    if draw.random() < 0.5:
        filling = Image.new("RGB", crop.size, tuple(int(one) for one in np.asarray(crop).mean((0, 1))))
    else:
        filling = crop.filter(ImageFilter.GaussianBlur(min(width, height) / 8))
    edge = min(width, height) / 16
    keep = Image.new("L", crop.size, 0)
    ImageDraw.Draw(keep).ellipse((edge, edge, width - edge, height - edge), fill=255)
    filling.paste(crop, (0, 0), keep.filter(ImageFilter.GaussianBlur(edge / 2)))
    return filling


def _lit(crop: Image.Image, draw: np.random.Generator) -> Image.Image:
    """Another brightness and contrast."""
    for enhancer in (ImageEnhance.Brightness, ImageEnhance.Contrast):
        crop = enhancer(crop).enhance(float(draw.uniform(*_LIGHT)))
    return crop

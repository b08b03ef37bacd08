"""Boxes of a detector: MegaDetector's JSON, a CSV file or a Camtrap DP package, by image of SOURCE."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath

from scd_core.boxes import Box
from scd_core.errors import InputError
from scd_core.inputs.camtrap_dp import DATAPACKAGE, observation_tables
from scd_core.inputs.csv import has_column, read_csv
from scd_core.inputs.joining import Join, PathIndex, path_as_joined
from scd_core.inputs.megadetector import box_of, number_of, parse_megadetector
from scd_core.inputs.text import decode_text, read_file
from scd_core.names import Category
from scd_core.storage import clean_url

__all__ = ["Detection", "Detections", "read_detections"]

_NOTHING = frozenset({"empty", "blank", "none", "nothing"})
"""Categories of a box that holds nothing."""

_COLUMNS = ("file", "category", "confidence", "x_min", "y_min", "width", "height")
_CAMTRAP_BOX = ("bboxX", "bboxY", "bboxWidth", "bboxHeight")
_SYNONYMS = {
    "animals": Category.ANIMAL, "wildlife": Category.ANIMAL, "human": Category.PERSON, "humans": Category.PERSON,
    "people": Category.PERSON, "persons": Category.PERSON, "vehicles": Category.VEHICLE,
}  # fmt: skip
_NUMBERS = {"1": Category.ANIMAL, "2": Category.PERSON, "3": Category.VEHICLE}
"""What MegaDetector's numbers mean in a CSV, which has no table of categories."""


@dataclass(frozen=True)
class Detection:
    """One box of a detector."""

    detection_id: str
    """Place of the box in its image's list, counted from 0."""
    category: str
    """Lower-case name: animal, person, vehicle, ..."""
    confidence: float
    """0-1; NaN where the file holds no number."""
    bbox: Box
    """As given, not yet clipped."""

    @property
    def is_redacted(self) -> bool:
        """Of a person, a vehicle or anything else but an animal: neither classified nor shown."""
        return self.category != Category.ANIMAL and self.category not in _NOTHING

    def problem(self) -> str | None:
        """Why the box cannot be used, in words; None where it can."""
        if place := self.place_problem():
            return place
        return None if math.isfinite(self.confidence) else "confidence is not a number"

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


@dataclass(frozen=True)
class Detections:
    """A detector's results for many files."""

    name: str
    """Name of the file they come from, for messages."""
    boxes: Mapping[str, tuple[Detection, ...]]
    """File as written in the results -> its boxes, possibly none."""
    failures: Mapping[str, str] = field(default_factory=dict)
    """File -> why the detector gave no result."""

    @cached_property
    def _index(self) -> PathIndex:
        return PathIndex((*self.boxes, *self.failures))

    def join(self, files: Sequence[str], source: str = "", strict: bool = True) -> Join:
        """Join the results to media, as :meth:`scd_core.inputs.joining.PathIndex.join` does.

        Args:
            files: paths relative to SOURCE, all of them.
            source: SOURCE, whose own folders count as well.
            strict: refuse results that match none of the files, or that fit several of them equally well as written.

        Raises:
            InputError: `strict`, and the results and the files do not fit one to one; the message names both.
        """
        return self._index.join(files, source, f"detections {self.name}" if strict else None)

    def entries(self, join: Join) -> dict[str, tuple[Detection, ...] | str]:
        """By medium that is in the results its boxes, or why there are none that can be relied on."""
        found: dict[str, tuple[Detection, ...] | str] = {
            file: self.boxes[path] if path in self.boxes else self.failures[path] for file, path in join.path_of.items()
        }
        for file, paths in join.doubtful.items():
            rival = f"or {paths[1]!r}" if len(paths) > 1 else "which fits other images as well"
            found[file] = f"the detections name it only as {paths[0]!r}, {rival}"
        return found

    def match(self, files: Iterable[str], strict: bool = True, source: str = "") -> dict[str, tuple[Detection, ...]]:
        """Boxes by media file; arguments and errors as for :meth:`join`."""
        entries = self.entries(self.join(list(files), source, strict))
        return {file: found for file, found in entries.items() if not isinstance(found, str)}

    def failed(self, files: Iterable[str], source: str = "") -> dict[str, str]:
        """Why there are no boxes that can be relied on, by media file; matched as in :meth:`match`."""
        entries = self.entries(self.join(list(files), source, strict=False))
        return {file: found for file, found in entries.items() if isinstance(found, str)}


def read_detections(url: str) -> Detections:
    """Read MegaDetector JSON (1.x), CSV (`file, category, confidence, x_min, y_min, width, height`, relative), or the boxes
    of a Camtrap DP (its ``datapackage.json``, or its ``observations.csv`` with ``media.csv`` beside it).

    Raises:
        InputError: the file cannot be read, or is none of them.
    """
    name, where = PurePosixPath(url).name, f"detections {clean_url(url)}"
    content = read_file(url, "detections")
    text = decode_text(content, where)
    if name != DATAPACKAGE and text.lstrip().startswith("{"):
        boxes, failures = _from_megadetector(text, where)
    elif name == DATAPACKAGE or has_column(text, "bboxX"):
        boxes, failures = _from_camtrap(url, content), {}
    else:
        boxes, failures = _from_csv(text, where), {}
    _check_categories(boxes, where)
    return Detections(name, boxes, failures)


_Boxes = dict[str, tuple[Detection, ...]]


def _check_categories(found: _Boxes, where: str) -> None:
    """Refuse boxes under names such as species, of which none would be taken for an animal."""
    categories = {box.category for boxes in found.values() for box in boxes}
    if Category.ANIMAL not in categories and (strange := sorted(categories - set(Category) - _NOTHING)):
        raise InputError(
            f"{where}: no box is an animal, and {strange[0]!r} is not known; name categories animal, person and vehicle"
        )


def _from_megadetector(text: str, where: str) -> tuple[_Boxes, dict[str, str]]:
    results = parse_megadetector(text, where)
    categories = results.detection_categories
    if categories is None:
        raise InputError(f"{where}: no table `detection_categories`; expected a MegaDetector results file")
    boxes: _Boxes = {}
    failures: dict[str, str] = {}
    for image in results.images():
        if image.failure is not None:
            failures[image.file] = image.failure
            continue
        found = []
        for place, box in enumerate(image.boxes or ()):
            if box.category is None:
                raise InputError(f"{where}: {image.where}: detection {place} has no category")
            category = _category(categories.get(box.category, box.category))
            found.append(Detection(str(place), category, box.confidence, box.bbox))
        # Compared as text, in which NaN equals NaN.
        if image.file in boxes and str(boxes[image.file]) != str(tuple(found)):
            raise InputError(f"{where}: names {image.file!r} twice, with other boxes; leave one of the two out")
        boxes[image.file] = tuple(found)
    return boxes, {file: why for file, why in failures.items() if file not in boxes}


def _from_csv(text: str, where: str) -> _Boxes:
    boxes: _Boxes = {}
    for line in read_csv(text, where, _COLUMNS):
        file, coordinates = path_as_joined(line["file"]), [line[column] for column in _COLUMNS[3:]]
        category = _category(line["category"])
        if not file:
            continue
        if not any(coordinates) and category in {"", *_NOTHING}:
            # A line without a box means that nothing was found.
            boxes.setdefault(file, ())
            continue
        _add(boxes, file, str(_NUMBERS.get(category, category)), number_of(line["confidence"]), coordinates)
    return boxes


def _from_camtrap(url: str, content: bytes) -> _Boxes:
    """Boxes of observations of single media (Camtrap DP 1.0): a person without a box may be anywhere in the picture."""
    observations, media = observation_tables(url, content, "detections")
    path_of = {line["mediaID"]: path_as_joined(line["filePath"]) for line in media.lines(("mediaID", "filePath"))}
    boxes: _Boxes = {}
    for line in observations.lines(("mediaID", "observationType", *_CAMTRAP_BOX)):
        if not line["mediaID"]:
            continue
        if line["mediaID"] not in path_of:
            raise InputError(f"{line.where}: mediaID {line['mediaID']} is not in media.csv")
        file, coordinates = path_of[line["mediaID"]], [line[column] for column in _CAMTRAP_BOX]
        category = _category(line["observationType"])
        if category == "blank":
            boxes.setdefault(file, ())
        elif any(coordinates) or category in (Category.PERSON, Category.VEHICLE):
            probability = line["classificationProbability"]
            # A person who looked gives no probability.
            _add(boxes, file, category, number_of(probability) if probability else 1.0, coordinates)
    return boxes


def _add(boxes: _Boxes, file: str, category: str, confidence: float, coordinates: Sequence[str]) -> None:
    """One more box of a file, known by its place among them."""
    before = boxes.get(file, ())
    boxes[file] = (*before, Detection(str(len(before)), category, confidence, box_of(coordinates)))


def _category(text: str) -> str:
    name = text.strip().lower()
    return str(_SYNONYMS.get(name, name))

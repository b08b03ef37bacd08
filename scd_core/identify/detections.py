"""Detection boxes handed over by a user: MegaDetector JSON or CSV, matched to media."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from scd_core.errors import InputError
from scd_core.files import read_user_file

__all__ = ["Detection", "Detections", "read_detections"]

_COLUMNS = ("file", "category", "confidence", "x_min", "y_min", "width", "height")


@dataclass(frozen=True)
class Detection:
    """One box of a detector."""

    detection_id: str
    """Place of the box in its image's list, counted from 0."""
    category: str
    """Lower-case name: animal, person, vehicle, ..."""
    confidence: float
    """0-1; NaN where the file holds no number."""
    bbox: tuple[float, float, float, float]
    """x_min, y_min, width, height as shares of the image; as given, not yet clipped."""

    def problem(self) -> str | None:
        """Why the box cannot be used, in words; None where it can."""
        if not all(math.isfinite(value) for value in self.bbox):
            return f"box {self.bbox} is not finite"
        if not math.isfinite(self.confidence):
            return "confidence is not a number"
        _, _, width, height = self.clipped()
        if width <= 0 or height <= 0:
            return f"box {self.bbox} has no area inside the image"
        return None

    def clipped(self) -> tuple[float, float, float, float]:
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

    def match(self, files: Iterable[str], strict: bool = True) -> dict[str, tuple[Detection, ...]]:
        """Boxes by media file.

        A file is matched by its path; else by a path that ends with the other (results made one folder higher or
        lower), where only one does: a bare file name never decides between two folders.

        Args:
            files: paths relative to SOURCE.
            strict: refuse results that match none of the files.

        Raises:
            InputError: `strict`, and no file of the results is among `files`.
        """
        files = list(files)
        by_name: dict[str, list[str]] = {}
        for known in self.boxes:
            by_name.setdefault(PurePosixPath(known).name, []).append(known)
        matched: dict[str, tuple[Detection, ...]] = {}
        for file in files:
            if file in self.boxes:
                matched[file] = self.boxes[file]
            elif (ending := _same_ending(file, by_name.get(PurePosixPath(file).name, []))) is not None:
                matched[file] = self.boxes[ending]
        if strict and files and not matched:
            first = next(iter(self.boxes), "nothing")
            raise InputError(
                f"detections {self.name}: match no image of SOURCE (the file names {first!r}, SOURCE holds {files[0]!r}); "
                "paths must be relative to SOURCE"
            )
        return matched


def read_detections(url: str) -> Detections:
    """Read MegaDetector JSON (1.x) or CSV (`file, category, confidence, x_min, y_min, width, height`, relative).

    Raises:
        InputError: the file cannot be read, or is neither of the two.
    """
    name = PurePosixPath(url).name
    text = read_user_file(url, "detections")
    if text.lstrip().startswith("{"):
        return _from_megadetector(text, name)
    return _from_csv(text, name)


def _from_megadetector(text: str, name: str) -> Detections:
    try:
        content = json.loads(text)
        categories = {str(key): str(value).lower() for key, value in content["detection_categories"].items()}
        boxes: dict[str, tuple[Detection, ...]] = {}
        failures: dict[str, str] = {}
        for entry in content["images"]:
            file = str(entry["file"]).replace("\\", "/")
            if entry.get("failure"):
                failures[file] = str(entry["failure"])
                continue
            boxes[file] = tuple(
                Detection(
                    detection_id=str(place),
                    category=categories.get(str(found["category"]), str(found["category"])),
                    confidence=_number(found.get("conf")),
                    bbox=_box(found["bbox"]),
                )
                for place, found in enumerate(entry.get("detections") or ())
            )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"detections {name}: not a MegaDetector results file ({type(error).__name__}: {error}); "
            "it needs `images` and `detection_categories`"
        ) from error
    return Detections(name, boxes, failures)


def _from_csv(text: str, name: str) -> Detections:
    reader = csv.DictReader(io.StringIO(text))
    missing = [column for column in _COLUMNS if column not in (reader.fieldnames or ())]
    if missing:
        raise InputError(f"detections {name}: no column {missing[0]!r}; it needs {', '.join(_COLUMNS)}")
    boxes: dict[str, tuple[Detection, ...]] = {}
    for row in reader:
        file = (row["file"] or "").replace("\\", "/")
        found = Detection(
            detection_id=str(len(boxes.get(file, ()))),
            category=(row["category"] or "").strip().lower(),
            confidence=_number(row["confidence"]),
            bbox=_box([row[column] for column in _COLUMNS[3:]]),
        )
        boxes[file] = (*boxes.get(file, ()), found)
    return Detections(name, boxes)


def _same_ending(file: str, candidates: Sequence[str]) -> str | None:
    """The one candidate that ends with `file` or that `file` ends with, at a folder's border."""
    found = [known for known in candidates if known.endswith("/" + file) or file.endswith("/" + known)]
    return found[0] if len(found) == 1 else None


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def _box(values: Sequence[Any]) -> tuple[float, float, float, float]:
    if len(values) != 4:
        raise ValueError(f"a box has 4 numbers, got {len(values)}")
    x, y, width, height = (_number(value) for value in values)
    return x, y, width, height

"""Reading detection boxes from the files that detectors leave: MegaDetector JSON, CSV, Camtrap DP."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import Any

from scd_core.boxes import Box
from scd_core.errors import InputError
from scd_core.inputs.detections import ANIMAL, NOTHING, Detection, Detections
from scd_core.inputs.text import read_user_file

__all__ = ["read_detections"]

_COLUMNS = ("file", "category", "confidence", "x_min", "y_min", "width", "height")
_CAMTRAP_BOX = ("bboxX", "bboxY", "bboxWidth", "bboxHeight")
_SYNONYMS = {
    "animals": ANIMAL, "wildlife": ANIMAL, "human": "person", "humans": "person", "people": "person", "persons": "person",
    "vehicles": "vehicle",
}  # fmt: skip
_MEGADETECTOR = {"1": ANIMAL, "2": "person", "3": "vehicle"}
"""What MegaDetector's numbers mean in a CSV, which has no table of categories."""
_KNOWN = frozenset({ANIMAL, "person", "vehicle"}) | NOTHING


def read_detections(url: str) -> Detections:
    """Read MegaDetector JSON (1.x), CSV (`file, category, confidence, x_min, y_min, width, height`, relative), or the boxes
    of a Camtrap DP (its ``observations.csv`` or ``datapackage.json``, with ``media.csv`` beside it).

    Raises:
        InputError: the file cannot be read, or is none of them.
    """
    name = PurePosixPath(url).name
    folder = url[: len(url) - len(name)]
    if name == "datapackage.json":
        url, name = f"{folder}observations.csv", "observations.csv"
    text = read_user_file(url, "detections")
    if text.lstrip().startswith("{"):
        found = _from_megadetector(text, name)
    elif "bboxX" in text.partition("\n")[0]:
        found = _from_camtrap(text, read_user_file(f"{folder}media.csv", "detections: media.csv beside it,"), name)
    else:
        found = _from_csv(text, name)
    _check_categories(found)
    return found


def _check_categories(found: Detections) -> None:
    """Refuse boxes under names such as species, of which none would be taken for an animal."""
    categories = {box.category for boxes in found.boxes.values() for box in boxes}
    if ANIMAL not in categories and (strange := sorted(categories - _KNOWN)):
        raise InputError(
            f"detections {found.name}: no box is an animal, and {strange[0]!r} is not known; "
            "name categories animal, person and vehicle"
        )


def _from_megadetector(text: str, name: str) -> Detections:
    where = ""
    boxes: dict[str, tuple[Detection, ...]] = {}
    failures: dict[str, str] = {}
    try:
        content = json.loads(text)
        categories = {str(key): str(value) for key, value in content["detection_categories"].items()}
        for number, entry in enumerate(content["images"]):
            where = f" at images[{number}]"
            file = _path(entry["file"])
            detections = entry.get("detections")
            if entry.get("failure") or detections is None:
                # Format 1.5 on: a file that was processed has a list of detections, if an empty one.
                failures[file] = str(entry.get("failure") or "no detections and no reason")
                continue
            found = tuple(
                Detection(
                    detection_id=str(place),
                    category=_category(categories.get(str(one["category"]), str(one["category"]))),
                    confidence=_number(one.get("conf")),
                    bbox=_box(one.get("bbox")),
                )
                for place, one in enumerate(detections)
            )
            # Compared as text, in which NaN equals NaN.
            if file in boxes and str(boxes[file]) != str(found):
                raise InputError(f"detections {name}: names {file!r} twice, with other boxes; leave one of the two out")
            boxes[file] = found
    except InputError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"detections {name}: not a MegaDetector results file{where} ({type(error).__name__}: {error}); "
            "it needs `images` and `detection_categories`"
        ) from error
    return Detections(name, boxes, {file: why for file, why in failures.items() if file not in boxes})


def _from_csv(text: str, name: str) -> Detections:
    boxes: dict[str, tuple[Detection, ...]] = {}
    for row in _records(text, name, _COLUMNS):
        file, coordinates = _path(row["file"]), [row[column] for column in _COLUMNS[3:]]
        category = _category(row["category"])
        if not file:
            continue
        if not any(coordinates) and category in {"", *NOTHING}:
            # A line without a box says that nothing was found.
            boxes.setdefault(file, ())
            continue
        _add(boxes, file, _MEGADETECTOR.get(category, category), _number(row["confidence"]), coordinates)
    return Detections(name, boxes)


def _from_camtrap(observations: str, media: str, name: str) -> Detections:
    """Boxes of observations of single media (Camtrap DP 1.0): a person without a box may be anywhere in the picture."""
    path_of = {row["mediaID"]: _path(row["filePath"]) for row in _records(media, "media.csv", ("mediaID", "filePath"))}
    boxes: dict[str, tuple[Detection, ...]] = {}
    for row in _records(observations, name, ("mediaID", "observationType", *_CAMTRAP_BOX)):
        if not row["mediaID"]:
            continue
        if row["mediaID"] not in path_of:
            raise InputError(f"detections {name}: mediaID {row['mediaID']} is not in media.csv")
        file, coordinates = path_of[row["mediaID"]], [row[column] for column in _CAMTRAP_BOX]
        category = _category(row["observationType"])
        if category == "blank":
            boxes.setdefault(file, ())
        elif any(coordinates) or category in ("person", "vehicle"):
            probability = row.get("classificationProbability")
            # A person who looked gives no probability.
            _add(boxes, file, category, _number(probability) if probability else 1.0, coordinates)
    return Detections(name, boxes)


def _add(
    boxes: dict[str, tuple[Detection, ...]], file: str, category: str, confidence: float, coordinates: Sequence[str]
) -> None:
    """One more box of a file, known by its place among them."""
    before = boxes.get(file, ())
    boxes[file] = (*before, Detection(str(len(before)), category, confidence, _box(coordinates)))


def _records(text: str, name: str, required: Sequence[str]) -> Iterable[dict[str, str]]:
    """Lines of a CSV, column -> stripped text.

    Raises:
        InputError: a column is missing.
    """
    reader = csv.DictReader(io.StringIO(text), restval="")
    columns = reader.fieldnames or ()
    missing = [column for column in required if column not in columns]
    if missing:
        raise InputError(f"detections {name}: no column {missing[0]!r}; it needs {', '.join(required)}")
    return ({key: (row[key] or "").strip() for key in columns} for row in reader)


def _path(text: Any) -> str:
    path = str(text).strip().replace("\\", "/")
    while path.startswith("./"):
        path = path[2:]
    return path


def _category(text: str) -> str:
    name = text.strip().lower()
    return _SYNONYMS.get(name, name)


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def _box(values: Any) -> Box:
    """Four numbers; NaN where there are none, which makes a row with that reason rather than none at all."""
    if not isinstance(values, Sequence) or isinstance(values, str) or len(values) != 4:
        return (math.nan,) * 4
    x, y, width, height = (_number(value) for value in values)
    return x, y, width, height

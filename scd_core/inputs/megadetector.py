"""Results files of MegaDetector and Timelapse (JSON): images, their boxes and the names given to these."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scd_core.boxes import Box
from scd_core.errors import InputError
from scd_core.inputs.joining import path_as_joined

__all__ = [
    "MegaDetectorFile",
    "ResultBox",
    "ResultImage",
    "box_of",
    "load_json",
    "megadetector_file",
    "most_probable",
    "number_of",
    "parse_megadetector",
]


@dataclass(frozen=True, slots=True)
class ResultBox:
    """A box of an image."""

    category: str | None
    """Key in the file's detection categories; None where the box has none."""
    confidence: float
    """0-1; NaN where the file holds no number."""
    bbox: Box
    """As written; NaN where the file holds no four numbers."""
    classification: str | None
    """Key of the most probable classification in the file's classification categories; None where the box has none."""
    is_certain: bool = False
    """The classification has confidence 1, every other 0: what a person writes, and a classifier seldom does."""
    classifications: tuple[tuple[str, float], ...] = ()
    """Keys and probabilities as written; NaN where the file holds no number."""


@dataclass(frozen=True, slots=True)
class ResultImage:
    """An image of a results file."""

    where: str
    """Its place in the file, for messages: ``images[3]``."""
    file: str
    boxes: tuple[ResultBox, ...] | None
    """None where the file has no list of them."""
    failure: str | None
    """Why the detector gave no result; None where it gave one."""


@dataclass(frozen=True)
class MegaDetectorFile:
    """A results file that was read."""

    name: str
    """Its name in messages."""
    content: Mapping[str, Any]

    @property
    def detection_categories(self) -> dict[str, str] | None:
        """Category's key -> name; None where the file has no table of them."""
        return self._table("detection_categories")

    @property
    def classification_categories(self) -> dict[str, str]:
        """Classification's key -> name."""
        return self._table("classification_categories") or {}

    @property
    def info(self) -> Mapping[str, Any]:
        """What the file holds about the tools that made it."""
        info = self.content.get("info")
        return info if isinstance(info, Mapping) else {}

    def images(self) -> Iterator[ResultImage]:
        """Images in the order of the file.

        Raises:
            InputError: one of them does not have the form of the format; the message gives its place.
        """
        for number, entry in enumerate(self.content["images"]):
            where = f"images[{number}]"
            if not isinstance(entry, Mapping) or not entry.get("file"):
                raise InputError(f"{self.name}: {where}: no file")
            try:
                yield _image(where, entry)
            except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
                raise InputError(
                    f"{self.name}: not a MegaDetector results file at {where} ({type(error).__name__}: {error})"
                ) from error

    def _table(self, key: str) -> dict[str, str] | None:
        table = self.content.get(key)
        if table is None:
            return None
        if not isinstance(table, Mapping):
            raise InputError(f"{self.name}: `{key}` is no table of names")
        return {str(code): "" if name is None else str(name) for code, name in table.items()}


def parse_megadetector(text: str, name: str) -> MegaDetectorFile:
    """Read the JSON of MegaDetector's batch output, any version of format 1, or of Timelapse.

    Args:
        text: the whole file.
        name: its name in messages.

    Raises:
        InputError: it is not JSON, or has no list of images.
    """
    return megadetector_file(load_json(text, name), name)


def load_json(text: str, name: str) -> Any:
    """Content of a JSON file; arguments as for :func:`parse_megadetector`.

    Raises:
        InputError: it is not JSON.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{name}: line {error.lineno}: not JSON ({error})") from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, lists in lists in lists
        raise InputError(f"{name}: no JSON that can be read ({error})") from error


def megadetector_file(content: Any, name: str) -> MegaDetectorFile:
    """A results file from its JSON.

    Raises:
        InputError: it has no list of images.
    """
    if not isinstance(content, dict) or not isinstance(content.get("images"), list):
        raise InputError(f"{name}: no list `images`; expected a MegaDetector or Timelapse results file")
    return MegaDetectorFile(name, content)


def number_of(value: Any) -> float:
    """A number; NaN where the value is none."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def box_of(values: Any) -> Box:
    """Four numbers; NaN where there are none, which makes a row with that reason rather than none at all."""
    if not isinstance(values, Sequence) or isinstance(values, str) or len(values) != 4:
        return (math.nan,) * 4
    x, y, width, height = (number_of(value) for value in values)
    return x, y, width, height


def most_probable(classifications: Sequence[Sequence[Any]]) -> Any:
    """The most probable of some names, whatever their order; of equal ones the first, and one without a number last.

    Args:
        classifications: at least one, each a name, or its key, and its probability.

    >>> most_probable([["fox", 0.2], ["elk", 0.8], ["wolf"]])
    'elk'
    """
    scores = [_score(one) for one in classifications]
    return classifications[max(range(len(scores)), key=scores.__getitem__)][0]


def _image(where: str, entry: Mapping[str, Any]) -> ResultImage:
    boxes = entry.get("detections")
    failure = entry.get("failure")
    if not failure and boxes is None:
        # Format 1.5 on: a file that was processed has a list of detections, if an empty one.
        failure = "no detections and no reason"
    return ResultImage(
        where,
        path_as_joined(str(entry["file"])),
        None if boxes is None else tuple(_box(box) for box in boxes),
        str(failure) if failure else None,
    )


def _box(entry: Mapping[str, Any]) -> ResultBox:
    classifications = entry.get("classifications")
    known = [score for one in classifications or () if (score := _score(one)) >= 0]
    return ResultBox(
        str(entry["category"]) if "category" in entry else None,
        number_of(entry.get("conf")),
        box_of(entry.get("bbox")),
        str(most_probable(classifications)) if classifications else None,
        max(known, default=0) == 1 and sum(known) == 1,
        tuple((str(one[0]), number_of(one[1] if len(one) > 1 else None)) for one in classifications or ()),
    )


def _score(classification: Sequence[Any]) -> float:
    """Probability of a classification; -1 where it has none."""
    score = number_of(classification[1]) if len(classification) > 1 else math.nan
    return -1.0 if math.isnan(score) else score

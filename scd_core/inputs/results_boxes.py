"""Boxes in JSON results: MegaDetector's format, and the predictions of SpeciesNet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scd_core.boxes import WHOLE
from scd_core.errors import InputError
from scd_core.inputs.categories import category_of
from scd_core.inputs.detection import HIDDEN, Detection
from scd_core.inputs.joining import path_as_joined
from scd_core.inputs.megadetector import box_of, load_json, megadetector_file, most_probable, number_of
from scd_core.names import Category

__all__ = ["NUMBERS", "ResultBoxes", "read_results"]

NUMBERS = {"1": Category.ANIMAL, "2": Category.PERSON, "3": Category.VEHICLE}
"""What MegaDetector's numbers mean where a file has no table of categories."""


@dataclass
class ResultBoxes:
    """What JSON results hold about each file."""

    boxes: dict[str, tuple[Detection, ...]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    """File -> why the detector gave no result."""
    n_boxes: Counter[str] = field(default_factory=Counter)
    """Person or vehicle -> boxes that a classifier alone calls so."""
    n_whole: Counter[str] = field(default_factory=Counter)
    """The same for pictures that are named as a whole."""

    def notes(self) -> list[str]:
        """What is hidden for its name alone, a sentence each.

        >>> ResultBoxes(n_boxes=Counter(person=2)).notes()
        ['2 boxes hidden, since a classifier names them person']
        """
        counted = ((self.n_boxes, "box", "boxes", "hidden"), (self.n_whole, "picture", "pictures", "hidden whole"))
        return [
            f"{n} {one if n == 1 else many} {how}, since a classifier names {'it' if n == 1 else 'them'} {name}"
            for counts, one, many, how in counted
            for name, n in counts.most_common()
        ]

    def add(self, file: str, boxes: Sequence[Detection], where: str) -> None:
        """Boxes of a file.

        Raises:
            InputError: the file is there already, with other boxes.
        """
        # Compared as text, in which NaN equals NaN.
        if file in self.boxes and str(self.boxes[file]) != str(tuple(boxes)):
            raise InputError(f"{where}: names {file!r} twice, with other boxes; leave one of the two out")
        self.boxes[file] = tuple(boxes)

    def category(self, own: str, names: Sequence[str]) -> str:
        """Category of a box: its own, or person or vehicle where a classifier says so of an animal."""
        hidden = _hidden(names)
        if hidden is None or own in HIDDEN:
            return own
        self.n_boxes[hidden] += 1
        return hidden


def read_results(text: str, where: str) -> ResultBoxes:
    """Boxes in the JSON of MegaDetector (1.x) or Timelapse, or in SpeciesNet's `predictions`.

    A box, or a whole picture, that a classifier's most probable name calls a person or a vehicle is hidden, whatever the
    detector took it for; other names of a classifier are not read.

    Args:
        text: the whole file.
        where: its name in messages.

    Raises:
        InputError: it is neither, or holds no boxes; the message gives the place.
    """
    content = load_json(text, where)
    found = ResultBoxes()
    if isinstance(content, dict) and "images" not in content and isinstance(content.get("predictions"), list):
        _speciesnet(content["predictions"], where, found)
    else:
        _megadetector(content, where, found)
    found.failures = {file: why for file, why in found.failures.items() if file not in found.boxes}
    return found


def _megadetector(content: Any, where: str, found: ResultBoxes) -> None:
    results = megadetector_file(content, where)
    categories, names = results.detection_categories, results.classification_categories
    if categories is None:
        raise InputError(f"{where}: no table `detection_categories`; expected a MegaDetector results file")
    for image in results.images():
        if image.failure is not None:
            found.failures[image.file] = image.failure
            continue
        boxes = []
        for place, box in enumerate(image.boxes or ()):
            if box.category is None:
                raise InputError(f"{where}: {image.where}: detection {place} has no category")
            category = category_of(categories.get(box.category, box.category))
            if box.classification is not None:
                category = found.category(category, [names.get(box.classification, "")])
            boxes.append(Detection(str(place), category, box.confidence, box.bbox))
        found.add(image.file, boxes, where)


def _speciesnet(predictions: Sequence[Any], where: str, found: ResultBoxes) -> None:
    """A name is that of a box where the box has it (from version 5 on), else that of the picture.

    A picture is named from the best box or from the whole frame, so a person may be anywhere in it.
    """
    for number, entry in enumerate(predictions):
        place = f"{where}: predictions[{number}]"
        try:
            file = path_as_joined(str(entry["filepath"]))
            boxes = entry.get("detections")
            if boxes is None:
                failed = ", ".join(map(str, entry.get("failures") or ()))
                found.failures[file] = (
                    f"no detections ({f'SpeciesNet failed: {failed}' if failed else 'and no reason'})"
                )
                continue
            detections = [_box(box, str(number), found) for number, box in enumerate(boxes)]
            hidden = _hidden(list(_names(entry)))
            sure = number_of(entry.get("prediction_score"))
            if hidden and not any(box.is_redacted and box.confidence >= sure for box in detections):
                found.n_whole[hidden] += 1
                detections = [Detection("0", hidden, 1.0, WHOLE)]  # what was taken for an animal is the person
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            raise InputError(f"{place}: not a prediction of SpeciesNet ({type(error).__name__}: {error})") from error
        found.add(file, detections, where)
    if predictions and not found.boxes and not any(entry.get("failures") for entry in predictions):
        raise InputError(
            f"{where}: no prediction has `detections`, only names; give the file of SpeciesNet's detector or of a whole run"
        )


def _box(box: Mapping[str, Any], number: str, found: ResultBoxes) -> Detection:
    text = str(box.get("category", ""))
    category = category_of(str(box["label"])) if box.get("label") else str(NUMBERS.get(text, category_of(text)))
    category = found.category(category, list(_names(box)))
    return Detection(number, category, number_of(box.get("conf")), box_of(box.get("bbox")))


def _names(entry: Mapping[str, Any]) -> Iterator[str]:
    """The name that SpeciesNet settled on, and the classifier's most probable one of each list."""
    if entry.get("prediction"):
        yield str(entry["prediction"])
    lists = entry.get("classifications") or ()
    for one in [lists] if isinstance(lists, Mapping) else lists:
        if pairs := list(zip(one["classes"], one["scores"], strict=False)):
            yield str(most_probable(pairs))


def _hidden(names: Sequence[str]) -> str | None:
    """The first hidden category among some names, a person before a vehicle; None where all are of animals or nothing."""
    found = {category_of(name) for name in names}
    return next((str(category) for category in HIDDEN if category in found), None)

"""Human names in JSON results: what a person wrote or checked in MegaDetector's format, and never a classifier's results."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from scd_core.boxes import Box
from scd_core.errors import InputError
from scd_core.inputs.categories import category_of
from scd_core.inputs.label import BY_PERSON, MACHINE_RESULTS, Account, Label, name_and_state
from scd_core.inputs.megadetector import MegaDetectorFile, ResultBox, ResultImage, load_json, megadetector_file
from scd_core.label_names import LabelState
from scd_core.names import Category

__all__ = ["results_labels"]

_CHECKED = "manually_checked"
"""Key of an image that a person has checked, in the files of AddaxAI."""


def results_labels(text: str, where: str, account: Account, *, by_person: bool = False) -> Iterator[Label]:
    """Names that persons gave in a results file.

    A name is a person's where one of these holds: the caller vouches for the whole file; its image is marked
    ``manually_checked``, as AddaxAI does; or `info` names no classifier, every classification in the file has confidence 1
    and no rival above 0, and no detector found the boxes: `info` names none, or the boxes have `conf` 1 too. Other names are
    a classifier's, and are counted where the file has both. A box without a classification has the name of its category,
    where that is no detector's own, and where the caller vouches or the image is checked.

    An image that a person has checked holds the boxes that the person left: without any, it is a picture without an animal.

    Args:
        text: the whole file.
        where: its name in messages.
        account: gets the rows that become no label.
        by_person: a person has checked every name of the file.

    Raises:
        InputError: the file cannot be read, or holds a classifier's results alone.
    """
    content = load_json(text, where)
    if isinstance(content, dict) and "predictions" in content:
        raise InputError(f"{where}: {MACHINE_RESULTS}")
    results = megadetector_file(content, where)
    images = list(results.images())
    trusted = by_person or _is_written_by_person(results, images)
    checked = [_is_checked(entry) for entry in results.content["images"]]
    if not trusted and not any(checked) and any(_has_name(results, image, where) for image in images):
        raise InputError(f"{where}: {MACHINE_RESULTS}; {BY_PERSON}")
    for image, is_checked in zip(images, checked, strict=True):
        if is_checked and image.boxes == ():
            account.n_rows += 1
            yield Label(image.file, None, None, None, None, None, LabelState.BLANK)
        by_category = by_person or is_checked
        yield from _labels_of(results, image, where, account, trusted=trusted or is_checked, by_category=by_category)


def _labels_of(
    results: MegaDetectorFile, image: ResultImage, where: str, account: Account, *, trusted: bool, by_category: bool
) -> Iterator[Label]:
    for place, box in enumerate(image.boxes or ()):
        name = _name(results, box, f"{where}: {image.where}")
        if name is None:
            if by_category:
                account.n_rows += 1
                account.leave_out("boxes that a person checked and gave no name", image.file)
            continue
        account.n_rows += 1
        if not (trusted if box.classification is not None else by_category):
            account.leave_out("names of a classifier", image.file)
            continue
        individual, state = name_and_state(name)
        yield Label(image.file, str(place), individual, None, None, None, state, _box(box.bbox))


def _name(results: MegaDetectorFile, box: ResultBox, where: str) -> str | None:
    """Name of a box: its most probable classification, or its category where that is no detector's own."""
    if box.classification is not None:
        names = results.classification_categories
        if box.classification not in names:
            raise InputError(f"{where}: category {box.classification} is not in classification_categories")
        return names[box.classification].strip() or None
    name = (results.detection_categories or {}).get(box.category or "", "").strip()
    return name if name and category_of(name) not in set(Category) else None


def _is_written_by_person(results: MegaDetectorFile, images: list[ResultImage]) -> bool:
    if results.info.get("classifier"):
        return False
    named = [box for image in images for box in image.boxes or () if box.classification is not None]
    has_detector = bool(results.info.get("detector"))
    return bool(named) and all(box.is_certain and (box.confidence == 1 or not has_detector) for box in named)


def _has_name(results: MegaDetectorFile, image: ResultImage, where: str) -> bool:
    return any(_name(results, box, f"{where}: {image.where}") for box in image.boxes or ())


def _is_checked(entry: Any) -> bool:
    return entry.get(_CHECKED) is True


def _box(box: Box) -> Box | None:
    return box if all(value == value for value in box) and box[2] > 0 and box[3] > 0 else None

"""Human names in JSON results: what a person wrote or checked in MegaDetector's format, and never a classifier's results."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from scd_core.boxes import Box
from scd_core.errors import InputError
from scd_core.inputs.label import MACHINE_RESULTS, Account, Label, name_and_state
from scd_core.inputs.megadetector import MegaDetectorFile, ResultBox, ResultImage, parse_megadetector

__all__ = ["results_labels"]

_CHECKED = "manually_checked"
"""Key of an image that a person has checked, in the files of AddaxAI."""
_DETECTORS_OWN = frozenset({"animal", "person", "human", "people", "vehicle", "car"})


def results_labels(text: str, where: str, account: Account, *, by_person: bool = False) -> Iterator[Label]:
    """Names that persons gave in a results file.

    A name is a person's where one of these holds: the caller vouches for the whole file; its image is marked
    ``manually_checked``, as AddaxAI does; or `info` names no classifier and every classification in the file has
    confidence 1 and no rival above 0. Other names are a classifier's, and are counted where the file has both.

    Args:
        text: the whole file.
        where: its name in messages.
        account: gets the rows that become no label.
        by_person: a person has checked every name of the file.

    Raises:
        InputError: the file cannot be read, or holds a classifier's results alone.
    """
    if '"predictions"' in text and '"images"' not in text:
        raise InputError(f"{where}: {MACHINE_RESULTS}")
    results = parse_megadetector(text, where)
    images = list(results.images())
    trusted = by_person or _is_written_by_person(results, images)
    checked = [_is_checked(entry) for entry in results.content["images"]]
    if not trusted and not any(checked) and any(_named(image) for image in images):
        raise InputError(
            f"{where}: {MACHINE_RESULTS}; where a person has checked every name, use `labels import --by-person`"
        )
    for image, is_checked in zip(images, checked, strict=True):
        yield from _labels_of(results, image, where, account, is_checked=is_checked, trusted=trusted)


def _labels_of(
    results: MegaDetectorFile, image: ResultImage, where: str, account: Account, *, is_checked: bool, trusted: bool
) -> Iterator[Label]:
    for place, box in enumerate(image.boxes or ()):
        name = _name(results, box, f"{where}: {image.where}", by_category=is_checked)
        if name is None:
            continue
        account.n_rows += 1
        if not (is_checked or trusted):
            account.leave_out("names of a classifier", image.file)
            continue
        individual, state = name_and_state(name)
        yield Label(image.file, str(place), individual, None, None, None, state, _box(box.bbox))


def _name(results: MegaDetectorFile, box: ResultBox, where: str, *, by_category: bool) -> str | None:
    """Name of a box: its most probable classification; or its category where a person has checked it and that is a name."""
    if box.classification is not None:
        names = results.classification_categories
        if box.classification not in names:
            raise InputError(f"{where}: category {box.classification} is not in classification_categories")
        return names[box.classification].strip() or None
    name = (results.detection_categories or {}).get(box.category or "", "").strip()
    return name if by_category and name and name.lower() not in _DETECTORS_OWN else None


def _is_written_by_person(results: MegaDetectorFile, images: list[ResultImage]) -> bool:
    if results.info.get("classifier"):
        return False
    return all(box.is_certain for image in images for box in image.boxes or () if box.classification is not None)


def _named(image: ResultImage) -> bool:
    return any(box.classification is not None for box in image.boxes or ())


def _is_checked(entry: Any) -> bool:
    return entry.get(_CHECKED) is True


def _box(box: Box) -> Box | None:
    return box if all(value == value for value in box) and box[2] > 0 and box[3] > 0 else None

"""Names that a classifier gave, in JSON results: MegaDetector's format with classifications, and SpeciesNet's predictions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from scd_core.boxes import WHOLE
from scd_core.errors import InputError
from scd_core.inputs.categories import NOTHING, category_of
from scd_core.inputs.detection import Detection
from scd_core.inputs.given import Given, GivenEntry, Tool, ordered
from scd_core.inputs.joining import path_as_joined
from scd_core.inputs.megadetector import ResultBox, box_of, load_json, megadetector_file, number_of
from scd_core.inputs.results_boxes import ResultBoxes, read_results
from scd_core.inputs.taxonomy import lineages_of
from scd_core.names import UNKNOWN, Category

__all__ = ["JsonNames", "json_names", "species_name"]


class JsonNames(NamedTuple):
    """What a file of results in JSON holds."""

    tool: Tool
    entries: dict[str, GivenEntry]
    """File -> what it was given."""
    vocabulary: Sequence[str] | None
    """Every name that the tool can give; None where the file does not list them."""
    boxes: ResultBoxes | None
    """Its boxes, if any."""
    lineages: dict[str, str]
    """Name -> lineage, where the file has a taxonomy."""


_NO_RESULT = "no cv result"
"""SpeciesNet's name of a picture about which it came to no result."""


def json_names(text: str, where: str) -> JsonNames:
    """Names in the JSON of MegaDetector (1.x) with classifications, or in SpeciesNet's `predictions`.

    Args:
        text: the whole file.
        where: its name in messages.

    Raises:
        InputError: it is neither, or holds boxes and no names; the message gives the place.
    """
    content = load_json(text, where)
    if isinstance(content, dict) and "images" not in content and isinstance(content.get("predictions"), list):
        return _speciesnet(content["predictions"], text, where)
    return _megadetector(content, text, where)


def species_name(label: str) -> str:
    """The name in a label of SpeciesNet, which holds a taxonomy: the common name, else the lowest rank that it has.

    >>> species_name("1f689929-883d;mammalia;carnivora;canidae;vulpes;vulpes;red fox"), species_name("ocelot")
    ('red fox', 'ocelot')
    >>> species_name("1f689929-883d;mammalia;carnivora;canidae;vulpes;vulpes;")
    'vulpes vulpes'
    """
    if ";" not in label:
        return label.strip()
    parts = [part.strip() for part in label.split(";")]
    if parts[-1]:
        return parts[-1]
    ranks = [part for part in parts[1:-1] if part]
    if len(parts) == 7 and parts[4] and parts[5]:
        return f"{parts[4]} {parts[5]}"
    return ranks[-1] if ranks else UNKNOWN


def _megadetector(content: Any, text: str, where: str) -> JsonNames:
    results = megadetector_file(content, where)
    found = read_results(text, where)
    classes = {key: species_name(name) for key, name in results.classification_categories.items()}
    entries: dict[str, GivenEntry] = {}
    for image in results.images():
        if image.failure is not None or image.boxes is None:
            entries.setdefault(image.file, image.failure or "no detections and no reason")
            continue
        boxes = found.boxes[image.file]
        named = [
            _of_box(box, detection, classes, f"{where}: {image.where}")
            for box, detection in zip(image.boxes, boxes, strict=True)
            if detection.is_animal
        ]
        # As in `ResultBoxes.add`: compared as text, in which NaN equals NaN.
        held = entries.get(image.file)
        if isinstance(held, tuple) and str(held) != str(tuple(named)):
            raise InputError(f"{where}: names {image.file!r} twice, with other names; leave one of the two out")
        entries[image.file] = tuple(named)
    of_boxes = [one for entry in entries.values() if isinstance(entry, tuple) for one in entry]
    if of_boxes and not any(one.candidates or one.problem for one in of_boxes):
        raise InputError(f"{where}: holds boxes and no name; give it with --detections, and names with --predictions")
    vocabulary = [name for name in classes.values() if name] or None
    described = content.get("classification_category_descriptions")
    labels = {**results.classification_categories, **(described if isinstance(described, dict) else {})}
    lineages = lineages_of((name, str(labels[key])) for key, name in classes.items())
    return JsonNames(_tool_of(results.info), entries, vocabulary, found, lineages)


def _of_box(box: ResultBox, detection: Detection, classes: Mapping[str, str], where: str) -> Given:
    """A box with its classifications; a detector of species names it by its category."""
    pairs: list[tuple[str, float | None]] = []
    problem = None
    for key, score in box.classifications:
        if key not in classes:
            raise InputError(f"{where}: category {key} is not in classification_categories")
        if not 0 <= score <= 1:
            problem = f"probability {score} of {classes[key]!r} is no number of 0-1"
        pairs.append((classes[key], score))
    if not pairs and detection.category != Category.ANIMAL:
        pairs.append((detection.category, None if math.isnan(detection.confidence) else detection.confidence))
    # What an audit exported of a frame that was named whole.
    is_whole = box.bbox == WHOLE
    return Given(
        ordered(pairs) if problem is None else (),
        None if is_whole else detection.detection_id,
        None if is_whole else box.bbox,
        None if is_whole else box.confidence,
        problem,
    )


def _tool_of(info: Mapping[str, Any]) -> Tool:
    metadata: Mapping[str, Any] = {}
    for key in ("classifier_metadata", "detector_metadata"):
        if isinstance(info.get(key), Mapping):
            metadata = {**metadata, **info[key]}
    name = info.get("classifier") or info.get("detector") or "MegaDetector JSON"
    return Tool(str(name), str(metadata.get("classifier_version") or ""))


def _speciesnet(predictions: Sequence[Any], text: str, where: str) -> JsonNames:
    entries: dict[str, GivenEntry] = {}
    versions: dict[str, None] = {}
    for number, entry in enumerate(predictions):
        try:
            file = path_as_joined(str(entry["filepath"]))
            found = _of_picture(entry)
            if entry.get("model_version"):
                versions[str(entry["model_version"])] = None
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            raise InputError(
                f"{where}: predictions[{number}]: not a prediction of SpeciesNet ({type(error).__name__}: {error})"
            ) from error
        if file in entries and entries[file] != found:
            raise InputError(f"{where}: names {file!r} twice, with other names; leave one of the two out")
        entries[file] = found
    if entries and all(isinstance(entry, str) for entry in entries.values()):
        raise InputError(
            f"{where}: no prediction has a name; give the file of SpeciesNet's classifier or of a whole run"
        )
    has_boxes = any(entry.get("detections") is not None for entry in predictions)
    boxes = read_results(text, where) if has_boxes else None
    labels = dict.fromkeys(label for entry in predictions for label in _labels(entry))
    lineages = lineages_of((species_name(label), label) for label in labels)
    return JsonNames(Tool("SpeciesNet", ", ".join(versions)), entries, None, boxes, lineages)


def _of_picture(entry: Mapping[str, Any]) -> GivenEntry:
    """Names of the boxes where each has its own (from version 5 on), else the name of the picture."""
    boxes = entry.get("detections")
    of_boxes = [
        Given(names, str(number), box_of(box.get("bbox")), number_of(box.get("conf")))
        for number, box in enumerate(boxes or ())
        if (names := _box_names(box)) and not _is_empty(names[0][0])
    ]
    if of_boxes:
        return tuple(of_boxes)
    if entry.get("prediction"):
        name = species_name(str(entry["prediction"]))
        if name.lower() == _NO_RESULT:
            return "SpeciesNet came to no result"
        score = entry.get("prediction_score")
        first = (name, None if score is None else _probability(score))
        # What the classifier alone found is beside the name that SpeciesNet settled on.
        others = [pair for pair in _listed(entry.get("classifications")) if pair[0] != name]
        return (Given((first, *ordered(others))),)
    if names := ordered(_listed(entry.get("classifications"))):
        return (Given(names),)
    failed = ", ".join(map(str, entry.get("failures") or ()))
    return f"no name ({f'SpeciesNet failed: {failed}' if failed else 'and no reason'})"


def _labels(entry: Mapping[str, Any]) -> Iterable[str]:
    """Every label of a prediction and of its boxes, as written."""
    for one in (entry, *(entry.get("detections") or ())):
        lists = one.get("classifications")
        yield from (str(name) for group in _lists(lists) for name in group["classes"])
        if one.get("prediction"):
            yield str(one["prediction"])


def _box_names(box: Mapping[str, Any]) -> tuple[tuple[str, float | None], ...]:
    names = ordered(_listed(box.get("classifications")))
    if not box.get("prediction"):
        return names
    score = box.get("prediction_score")
    first = (species_name(str(box["prediction"])), None if score is None else _probability(score))
    return (first, *(pair for pair in names if pair[0] != first[0]))


def _listed(lists: Any) -> Iterable[tuple[str, float | None]]:
    for one in _lists(lists):
        for name, score in zip(one["classes"], one["scores"], strict=True):
            yield species_name(str(name)), _probability(score)


def _lists(lists: Any) -> Sequence[Mapping[str, Any]]:
    return [lists] if isinstance(lists, Mapping) else lists or ()


def _probability(value: Any) -> float:
    number = float(value)
    if not 0 <= number <= 1:
        raise ValueError(f"score {number} is no number of 0-1")
    return number


def _is_empty(name: str) -> bool:
    return category_of(name) in NOTHING

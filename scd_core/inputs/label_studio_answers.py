"""Label Studio's exports in all their forms, as answers: whose, when, of which picture, and what was said with which control."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from scd_core.boxes import Box
from scd_core.errors import InputError
from scd_core.inputs.csv import has_column, read_csv
from scd_core.inputs.exported import CARRIED
from scd_core.inputs.joining import path_as_joined
from scd_core.inputs.label import Account, parse_time
from scd_core.inputs.megadetector import load_json

__all__ = ["Answer", "Part", "is_answer_table", "is_task", "is_task_list", "picture_path", "read_answers"]

_OF_ROW = ("id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time")
"""Keys of JSON_MIN and columns of CSV that are of the answer, not of the task's data."""
_ANSWER = frozenset({"annotation_id", "annotator"})
"""Keys that mark an answer in the short form."""
_WORDS = (
    "rectanglelabels", "polygonlabels", "ellipselabels", "brushlabels", "keypointlabels", "labels", "choices", "taxonomy",
    "text",
)  # fmt: skip
_PICTURE = re.compile(r"\.(jpe?g|png|tiff?|webp|bmp|gif|heic|dng)(\?|$)", re.IGNORECASE)
_UPLOAD = re.compile(r"/data/upload/(?:\d+/)?(?:[0-9a-f]{8}-)?(?P<name>[^/?]+)")
"""What Label Studio makes of a file that was uploaded by hand."""


@dataclass(frozen=True)
class Part:
    """What was said with one control, of a region or of the picture."""

    key: str | None
    """Of the region; None where the form has none."""
    control: str
    kind: str
    """`rectanglelabels`, `choices` and so on."""
    words: tuple[str, ...]
    box: Box | None


@dataclass(frozen=True)
class Answer:
    """One annotation of one task."""

    where: str
    """Its place in the file, for messages."""
    data: Mapping[str, Any]
    """The task's."""
    parts: tuple[Part, ...]
    by: str | None
    at: datetime | None


def is_task_list(text: str) -> bool:
    """Whether a text is a list in JSON, as of tasks or of answers; other results in JSON are objects."""
    return text[:1_000].lstrip()[:1] == "["


def is_task(entry: Any) -> bool:
    """Whether an entry of a list in JSON is a task of Label Studio, or an answer in its short form."""
    return isinstance(entry, Mapping) and (isinstance(entry.get("data"), Mapping) or not _ANSWER.isdisjoint(entry))


def is_answer_table(text: str) -> bool:
    """Whether a text is a table of answers."""
    return has_column(text, "annotation_id") and has_column(text, "annotator")


def read_answers(text: str, where: str, account: Account, column: str | None) -> Iterator[Answer]:
    """Answers in the order of the file; tasks without one, and those that somebody skipped, are counted.

    Args:
        text: the whole file.
        where: its name in messages.
        account: gets what is no answer.
        column: control whose answers are names, which the short forms do not mark as such.

    Raises:
        InputError: the file is not of Label Studio; the message gives the place.
    """
    if is_task_list(text):
        entries = ((f"task {number}", entry) for number, entry in enumerate(load_json(text, where), 1))
    else:
        entries = ((f"line {line.number}", _unfolded(line.values)) for line in read_csv(text, where))
    for place, entry in entries:
        try:
            if not isinstance(entry, Mapping):
                raise TypeError("it is no task")
            if isinstance(entry.get("data"), Mapping):
                yield from _task(entry, where, place, account)
            elif is_task(entry):
                yield _row(entry, f"{where}: {place}", column)
            else:
                raise KeyError("data")
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError) as error:
            raise InputError(f"{where}: {place}: not of Label Studio ({type(error).__name__}: {error})") from error


def picture_path(answer: Answer) -> str:
    """The path or address of an answer's picture, in the form that media are joined in.

    Raises:
        InputError: the task's data names no picture.
    """
    texts = [value for value in answer.data.values() if isinstance(value, str)]
    address = next((value for value in texts if _PICTURE.search(value)), None)
    if address is None:
        raise InputError(f"{answer.where}: its data names no picture")
    if found := _UPLOAD.search(address):
        return path_as_joined(unquote(found["name"]))
    parts = urlsplit(address)
    if local := parse_qs(parts.query).get("d"):
        return path_as_joined(local[0])
    if parts.scheme in ("http", "https"):
        return path_as_joined(f"{parts.scheme}://{parts.netloc}{unquote(parts.path)}")
    return path_as_joined(address)


def _task(task: Mapping[str, Any], file: str, place: str, account: Account) -> Iterator[Answer]:
    where = f"{file}: {place}"
    annotations = task.get("annotations") or task.get("completions") or []
    if not annotations:
        account.n_rows += 1
        account.leave_out("tasks without an answer", place)
    for annotation in annotations:
        if annotation.get("was_cancelled"):
            account.n_rows += 1
            account.leave_out("tasks that somebody skipped", place)
            continue
        at = parse_time(str(annotation.get("updated_at") or annotation.get("created_at") or ""), where, "updated_at")
        parts = tuple(part for result in annotation["result"] if (part := _part(result)) is not None)
        yield Answer(where, task["data"], parts, _person(annotation.get("completed_by")), at)


def _row(row: Mapping[str, Any], where: str, column: str | None) -> Answer:
    """An answer in one of the short forms, in which controls stand beside the data and regions have no keys."""
    from_audit = CARRIED in row
    parts: list[Part] = []
    for control, value in row.items():
        if control in _OF_ROW or control == CARRIED:
            continue
        values = value if isinstance(value, list) else [value]
        for one in values:
            if isinstance(one, Mapping):
                if (part := _part({"from_name": control, "value": one})) is not None:
                    parts.append(part)
            elif (
                isinstance(one, str)
                and one
                and (from_audit or (column is not None and control.lower() == column.lower()))
            ):
                parts.append(Part(None, control, "choices", (one.strip(),), None))
    at = parse_time(str(row.get("updated_at") or row.get("created_at") or ""), where, "updated_at")
    data = {key: value for key, value in row.items() if key not in _OF_ROW}
    return Answer(where, data, tuple(parts), _person(row.get("annotator")), at)


def _unfolded(values: Mapping[str, str]) -> dict[str, Any]:
    """Cells of a table as JSON_MIN has them."""
    found: dict[str, Any] = {}
    for column, text in values.items():
        is_json = column != CARRIED and text[:1] in ("[", "{")
        try:
            found[column] = json.loads(text) if is_json else text
        except (ValueError, RecursionError):
            found[column] = text
    return found


def _part(result: Mapping[str, Any]) -> Part | None:
    """What a result says; None for what is no name and no place, such as a relation."""
    value = result.get("value")
    if not isinstance(value, Mapping):
        return None
    kind = next((kind for kind in _WORDS if kind in value), "")
    box = None if result.get("image_rotation") else _box(value, result)
    if not kind and box is None:
        return None
    said = value.get(kind) or []
    words = [said] if isinstance(said, str) else [one[-1] if isinstance(one, list) else one for one in said]
    key = result.get("id")
    return Part(
        None if key is None else str(key),
        str(result["from_name"]),
        kind or str(result.get("type")),
        tuple(word for one in words if (word := str(one).strip())),
        box,
    )


def _box(value: Mapping[str, Any], result: Mapping[str, Any]) -> Box | None:
    """The box around a region, as shares of the picture; None for what has no place there."""
    size = [result.get(name) or value.get(name) for name in ("original_width", "original_height")]
    width, height = (float(side) if side else 1.0 for side in size)
    if value.get("points"):
        points = [(float(x), float(y)) for x, y in value["points"]]
    elif "radiusX" in value:
        x, y, across, down = (float(value[name]) for name in ("x", "y", "radiusX", "radiusY"))
        points = [(x - across, y - down), (x + across, y + down)]
    elif "width" in value and "height" in value:
        points = _corners(value, width, height)
    else:
        return None
    return _envelope(points)


def _corners(value: Mapping[str, Any], width: float, height: float) -> list[tuple[float, float]]:
    """Corners of a rectangle that is turned about its first one, in percent; turned in pixels, which are square."""
    x, y, across, down = (float(value[name]) for name in ("x", "y", "width", "height"))
    angle = math.radians(float(value.get("rotation") or 0))
    cos, sin = math.cos(angle), math.sin(angle)
    if not angle:
        return [(x, y), (x + across, y + down)]
    return [
        (x + dx * cos - dy * sin * height / width, y + dx * sin * width / height + dy * cos)
        for dx, dy in ((0.0, 0.0), (across, 0.0), (across, down), (0.0, down))
    ]


def _envelope(points: Sequence[tuple[float, float]]) -> Box | None:
    if not all(math.isfinite(side) for point in points for side in point):
        return None
    left, top = (max(0.0, min(point[axis] for point in points) / 100) for axis in (0, 1))
    right, bottom = (min(1.0, max(point[axis] for point in points) / 100) for axis in (0, 1))
    return (left, top, right - left, bottom - top) if right > left and bottom > top else None


def _person(by: Any) -> str | None:
    """Who answered: an address or a name where the export has one, else the number of the account."""
    if isinstance(by, Mapping):
        name = " ".join(str(by[key]) for key in ("first_name", "last_name") if by.get(key))
        by = by.get("email") or by.get("username") or name or by.get("id")
    text = "" if by is None else str(by).strip()
    return f"Label Studio user {text}" if text.isdigit() else text or None

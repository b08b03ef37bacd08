"""Tasks for Label Studio: pictures with the model's names as pre-annotations and the labels that count as annotations."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import duckdb

from scd_core.audit.export.label_tasks import LabelTask, Suggestion, label_names, label_tasks
from scd_core.audit.sql import load_sql
from scd_core.boxes import Box
from scd_core.errors import InputError
from scd_core.inputs.exported import CARRIED, word_of
from scd_core.inputs.label import Label
from scd_core.inputs.label_studio import BOX, FLANK, IMAGE, PICTURE, WHOLE_NAME
from scd_core.label_names import LabelState
from scd_core.names import UNKNOWN, Flank

__all__ = ["write_label_studio"]

_LOCAL = "/data/local-files/?d="
_SAID_OF_PICTURE = (LabelState.BLANK, LabelState.UNCLEAR)


def write_label_studio(
    connection: duckdb.DuckDBPyConnection, folder: Path, now: datetime, limit: int | None = None
) -> list[str]:
    """Write ``tasks.json`` (Label Studio's task format) and ``label_config.xml`` (its labelling interface).

    A task is a picture, those of the list of what to label next first. Names that the model gave are predictions, which Label
    Studio shows and a person accepts or corrects; labels that count are annotations, whose regions have the ids of the labels.
    A name of a box is its rectangle's; the name of a whole frame is a choice. `data` has the picture's address, and as text
    what `labels import` needs to know which picture and animal an answer is of, and which answers are the labels that it
    brought.

    Args:
        connection: database with the tables of :func:`scd_core.audit.export.newest.create_newest`.
        folder: local folder that gets the files.
        now: time of the export; the files do not depend on it.
        limit: most pictures; None takes all.

    Returns:
        One line for each thing that a person sets in Label Studio.

    Raises:
        InputError: the audit holds no picture to name.
    """
    del now
    names = label_names(connection)
    sources = [row[0] for row in connection.execute(load_sql("scd_core.audit.export", "picture_folders")).fetchall()]
    root = os.path.commonpath(sources) if sources else ""
    n_tasks = 0
    with (folder / "tasks.json").open("w", encoding="utf-8") as file:
        file.write("[")
        for task in label_tasks(connection, limit):
            file.write(",\n" if n_tasks else "\n")
            file.write(json.dumps(_task(task, root), ensure_ascii=False))
            n_tasks += 1
        file.write("\n]\n")
    if not n_tasks:
        raise InputError("export label-studio: the audit holds no picture with something to name")
    (folder / "label_config.xml").write_text(_config(names), "utf-8")
    if not root:
        return []
    return [
        "the pictures are local files: start Label Studio with LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true and "
        f"LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT={root}, and add that folder to the project as its source storage"
    ]


def _task(task: LabelTask, root: str) -> dict[str, Any]:
    row, picture = task.row, task.picture
    when = row["captured_at"]
    data = {
        IMAGE: _address(row["uri"], root),
        "file": picture.file,
        "camera": row["camera_id"] or "",
        "captured_at": when.isoformat(sep=" ") if when else "",
        "called": "; ".join(f"{one.name} {one.probability:.0%}" for one in task.suggestions),
        CARRIED: picture.as_text(),
    }
    size = {"original_width": row["width"], "original_height": row["height"], "image_rotation": 0}
    found: dict[str, Any] = {"data": data, "predictions": [_prediction(task.suggestions, size)], "annotations": []}
    if not task.suggestions:
        found["predictions"] = []
    if picture.labels:
        found["annotations"] = [{"result": [part for label in picture.labels for part in _said(label, task, size)]}]
    return found


def _prediction(suggestions: Sequence[Suggestion], size: dict[str, Any]) -> dict[str, Any]:
    models = dict.fromkeys(one.model_digest[:12] for one in suggestions)
    return {
        "model_version": f"trapaudit {' '.join(models)}",
        "score": round(min((one.probability for one in suggestions), default=0.0), 6),
        "result": [
            _named(one.target_id, one.name, one.box, size) | {"score": round(one.probability, 6)} for one in suggestions
        ],
    }


def _said(label: Label, task: LabelTask, size: dict[str, Any]) -> list[dict[str, Any]]:
    """Results of a label: its name, and its flank."""
    key = str(label.label_id)
    if label.state in _SAID_OF_PICTURE and label.bbox is None and label.detection_id is None:
        return [_result(key, PICTURE, "choices", {"choices": [str(label.state)]}, size)]
    boxes = dict(task.picture.targets)
    box = label.bbox or boxes.get(label.detection_id)
    named = _named(key, word_of(label), box, size)
    if label.flank is None:
        return [named]
    place = {side: value for side, value in named["value"].items() if side not in ("rectanglelabels", "choices")}
    return [named, _result(key, FLANK, "choices", place | {"choices": [str(label.flank)]}, size)]


def _named(key: str, name: str, box: Box | None, size: dict[str, Any]) -> dict[str, Any]:
    if box is None:
        return _result(key, WHOLE_NAME, "choices", {"choices": [name]}, size)
    x, y, width, height = (round(100 * float(side), 7) for side in box)
    value = {"x": x, "y": y, "width": width, "height": height, "rotation": 0, "rectanglelabels": [name]}
    return _result(key, BOX, "rectanglelabels", value, size)


def _result(key: str, control: str, kind: str, value: dict[str, Any], size: dict[str, Any]) -> dict[str, Any]:
    return {"id": key, "from_name": control, "to_name": IMAGE, "type": kind, "value": value, **size}


def _address(uri: str, root: str) -> str:
    """The picture's address as Label Studio fetches it; a local file by its path below the folder that it serves."""
    if not uri.startswith("file://"):
        return uri
    return _LOCAL + quote(os.path.relpath(uri.removeprefix("file://"), root).replace(os.sep, "/"))


def _config(names: Sequence[str]) -> str:
    """The labelling interface: a rectangle for each animal, a name for a whole picture, and what is said of a picture."""
    view = ElementTree.Element("View")
    ElementTree.SubElement(view, "Header", value="$called")
    picture = {"name": IMAGE, "value": f"${IMAGE}", "zoom": "true", "zoomControl": "true", "brightnessControl": "true"}
    ElementTree.SubElement(view, "Image", picture)
    menu = [*(name for name in names if name != UNKNOWN), UNKNOWN]
    boxes = ElementTree.SubElement(view, "RectangleLabels", name=BOX, toName=IMAGE)
    for name in [*menu, str(LabelState.UNCLEAR)]:
        ElementTree.SubElement(boxes, "Label", value=name)
    controls: list[tuple[str, Sequence[str], dict[str, str]]] = [
        (FLANK, [str(flank) for flank in Flank], {"perRegion": "true", "whenTagName": BOX}),
        (WHOLE_NAME, menu, {"layout": "select"}),
        (PICTURE, [str(state) for state in _SAID_OF_PICTURE], {}),
    ]
    for name, choices, more in controls:
        tag = ElementTree.SubElement(view, "Choices", {"name": name, "toName": IMAGE, "choice": "single", **more})
        for choice in choices:
            ElementTree.SubElement(tag, "Choice", value=choice)
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode") + "\n"

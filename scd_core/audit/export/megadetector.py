"""MegaDetector results with classifications, as Timelapse and other review software read them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import duckdb

from scd_core.audit.sql import load_sql
from scd_core.errors import InputError
from scd_core.names import Category, MediaStatus, PredictionStatus

__all__ = ["write_megadetector"]

_ANIMAL = "1"
_DETECTIONS = {_ANIMAL: Category.ANIMAL, "2": Category.PERSON, "3": Category.VEHICLE}
_CHUNK = 10_000
_NOT_TRIED = (PredictionStatus.FAILED, PredictionStatus.NO_DETECTIONS, PredictionStatus.NOT_NAMED)


def write_megadetector(connection: duckdb.DuckDBPyConnection, folder: Path, now: datetime) -> list[str]:
    """Write ``megadetector.json`` (MegaDetector batch output, format version 1.4), image by image.

    Each classified box is a detection of category animal with its classifications, the final name first (after the masks,
    with its probability), then the model's other candidates. A whole frame that was classified is a detection over the
    frame with confidence 1, since no detector gave one. Files that could not be used have `failure`, images in
    which the detections show no animal have none. `file` is relative to SOURCE; the full address where two sources have a
    file of the same name. Of a file that changed, the newest version is given.

    Args:
        connection: database with the tables of :func:`scd_core.audit.export.newest.create_newest`.
        folder: local folder that gets the file.
        now: time of the export.

    Returns:
        Nothing that the form lacks: an empty list.

    Raises:
        InputError: the audit holds no media.
    """
    categories = _categories(connection)
    models = [
        row[0]
        for row in connection.execute("SELECT DISTINCT model_digest FROM newest_predictions ORDER BY ALL").fetchall()
    ]
    head = {
        "info": {
            "format_version": "1.4",
            "detector": "detections given to trapaudit",
            "detection_completion_time": now.strftime("%Y-%m-%d %H:%M:%S"),
            "classifier": "trapaudit, models " + ", ".join(row[0][:12] for row in models) + "; final names first",
            "classification_completion_time": now.strftime("%Y-%m-%d %H:%M:%S"),
        },
        "detection_categories": _DETECTIONS,
        "classification_categories": {place: name for name, place in categories.items()},
    }
    connection.execute(load_sql("scd_core.audit.export", "megadetector_images"))
    with (folder / "megadetector.json").open("w", encoding="utf-8") as file:
        file.write(json.dumps(head, ensure_ascii=False, indent=1)[:-2] + ',\n "images": [')
        separator = "\n"
        for name, rows in groupby(_fetched(connection), key=lambda row: row["name"]):
            file.write(f"{separator}  {json.dumps(_image(name, list(rows), categories), ensure_ascii=False)}")
            separator = ",\n"
        file.write("\n ]\n}\n")
    if separator == "\n":
        raise InputError("export megadetector: the audit holds no media")
    return []


def _categories(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Individual -> category, numbered in the order of the names."""
    rows = connection.execute(load_sql("scd_core.audit.export", "individuals")).fetchall()
    return {row[0]: str(place) for place, row in enumerate(rows)}


def _fetched(connection: duckdb.DuckDBPyConnection) -> Iterator[dict[str, Any]]:
    names = [column[0] for column in connection.description or ()]
    while rows := connection.fetchmany(_CHUNK):
        for row in rows:
            yield dict(zip(names, row, strict=True))


def _image(name: str, rows: list[dict[str, Any]], categories: dict[str, str]) -> dict[str, Any]:
    first = rows[0]
    if first["status"] not in (MediaStatus.OK, MediaStatus.DUPLICATE):
        return {"file": name, "failure": first["failure_reason"] or first["status"], "detections": None}
    if all(row["prediction_status"] in _NOT_TRIED for row in rows):
        return {"file": name, "failure": first["prediction_failure"] or "not classified", "detections": None}
    return {
        "file": name,
        "detections": [_detection(row, categories) for row in rows if row["prediction_status"] == PredictionStatus.OK],
    }


def _detection(row: dict[str, Any], categories: dict[str, str]) -> dict[str, Any]:
    box = [row[f"bbox_{side}"] for side in ("x_min", "y_min", "width", "height")]
    confidence = row["detection_confidence"]
    names: dict[str, float] = {}
    if row["final_id"] is not None:
        names[row["final_id"]] = row["final_probability"] or 0.0
    for candidate in row["topk"] or ():
        names.setdefault(candidate["individual_id"], candidate["probability"])
    return {
        "category": _ANIMAL,
        "conf": round(confidence, 4) if confidence is not None else 1.0,
        "bbox": [round(value, 5) for value in box] if box[0] is not None else [0.0, 0.0, 1.0, 1.0],
        "classifications": [[categories[name], round(probability, 4)] for name, probability in names.items()],
    }

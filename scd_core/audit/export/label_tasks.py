"""Pictures for people to name in other software: the list of what to label next first, each with its animals and labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import duckdb

from scd_core.audit.queue.draw import create_queue
from scd_core.audit.sql import load_sql
from scd_core.boxes import Box
from scd_core.inputs.exported import CarriedPicture
from scd_core.inputs.label import Label
from scd_core.label_names import LabelFormat, LabelState
from scd_core.names import Flank

__all__ = ["LabelTask", "Suggestion", "label_names", "label_tasks"]

_CHUNK = 2_000


@dataclass(frozen=True)
class Suggestion:
    """The name that the audit gives an animal."""

    target_id: str
    name: str
    probability: float
    """0-1; 0 where it has none."""
    box: Box | None
    model_digest: str


@dataclass(frozen=True)
class LabelTask:
    """A picture to look at."""

    picture: CarriedPicture
    row: Mapping[str, Any]
    """Row of the query `label_tasks`, for what a person likes to see."""
    suggestions: list[Suggestion]
    """Beside the targets of `picture`, in their order."""


def label_names(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Names that the audit knows, in order.

    Args:
        connection: database with the tables of :func:`scd_core.audit.export.newest.create_newest`.
    """
    return [row[0] for row in connection.execute(load_sql("scd_core.audit.export", "label_names")).fetchall()]


def label_tasks(connection: duckdb.DuckDBPyConnection, limit: int | None = None) -> Iterator[LabelTask]:
    """Usable pictures that hold something to name or a label, those of the list of what to label next first.

    Args:
        connection: database with the tables of :func:`scd_core.audit.export.newest.create_newest`.
        limit: most pictures; None gives all.
    """
    create_queue(connection)
    connection.execute(load_sql("scd_core.audit.export", "label_tasks"), {"limit": limit})
    names = [column[0] for column in connection.description or ()]
    while rows := connection.fetchmany(_CHUNK):
        for values in rows:
            row = dict(zip(names, values, strict=True))
            yield _task(row)


def _task(row: Mapping[str, Any]) -> LabelTask:
    drawn = None
    if row["place"] is not None:
        drawn = row["drawn_detection"], row["queue"], row["queue_probability"]
    # A whole frame that was classified has the box of its animal where a detector found one, but its name is the frame's.
    boxes = [None if target["detection_id"] is None else _box(target) for target in row["targets"]]
    picture = CarriedPicture(
        row["name"],
        [(target["detection_id"], box) for target, box in zip(row["targets"], boxes, strict=True)],
        [_label(row["name"], label) for label in row["labels"]],
        drawn,
    )
    suggestions = [
        Suggestion(target["target_id"], target["name"], target["probability"] or 0.0, box, target["model_digest"])
        for target, box in zip(row["targets"], boxes, strict=True)
    ]
    return LabelTask(picture, row, suggestions)


def _label(file: str, label: Mapping[str, Any]) -> Label:
    when: datetime = label["labelled_at"]
    return Label(
        file,
        label["detection_id"],
        label["individual_id"],
        Flank(label["flank"]) if label["flank"] else None,
        label["labelled_by"],
        when.astimezone(UTC),
        LabelState(label["state"]),
        _box(label),
        label["label_id"],
        LabelFormat(label["source"]) if label["source"] else None,
        label["queue"],
        label["queue_probability"],
    )


def _box(row: Mapping[str, Any]) -> Box | None:
    if row["x"] is None or row["width"] is None:
        return None
    return row["x"], row["y"], row["width"], row["height"]

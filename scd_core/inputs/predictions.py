"""Names that another tool gave, from the file that it wrote: one reader, whatever the format."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any, NoReturn

from scd_core.errors import InputError
from scd_core.inputs.camtrap_dp import DATAPACKAGE, observation_tables
from scd_core.inputs.csv import has_column
from scd_core.inputs.detections import Detections, detections_from_camtrap
from scd_core.inputs.given import Given, GivenEntry, Predictions, Tool
from scd_core.inputs.given_json import json_names
from scd_core.inputs.given_tables import TableNames, camtrap_names, table_names
from scd_core.inputs.label_studio_answers import is_task, is_task_list
from scd_core.inputs.megadetector import load_json
from scd_core.inputs.text import decode_text, read_file
from scd_core.storage import clean_url

__all__ = ["Given", "GivenEntry", "Predictions", "Tool", "read_predictions"]


def read_predictions(url: str, column: str | None = None) -> Predictions:
    """Read names that another tool gave.

    Formats: MegaDetector JSON (1.x) with classifications, an audit's own export among them; SpeciesNet's predictions; the
    machine observations of a Camtrap DP (its ``datapackage.json``, or ``observations.csv`` with ``media.csv`` beside it); a
    Timelapse table; a CSV with `file, individual_id[, probability][, top2, p2 ...]`.

    Args:
        url: fsspec URL or path.
        column: holds the names of a table; None is ``individual_id``.

    Raises:
        InputError: the file cannot be read, is none of these, or holds no name.
    """
    name, where = PurePosixPath(url.replace("\\", "/")).name, f"predictions {clean_url(url)}"
    content = read_file(url, "predictions")
    text = decode_text(content, where)
    digest = hashlib.sha256(content)
    if is_task_list(text):
        _refuse_list(load_json(text, where), where)
    if name != DATAPACKAGE and text.lstrip().startswith("{"):
        if column is not None:
            raise InputError(f"{where}: is JSON, which has no column {column!r}; --predictions-column is of a table")
        given = json_names(text, where)
        boxes, notes = given.boxes, given.boxes.notes() if given.boxes else ()
        detections = Detections(name, boxes.boxes, boxes.failures, notes=notes) if boxes else None
        _check_any(given.entries, (), where)
        return Predictions(
            name, given.tool, digest.hexdigest(), given.entries, len(given.entries), given.vocabulary, detections,
            notes=notes, lineages=given.lineages,
        )  # fmt: skip
    detections, found = None, TableNames(Tool(""), {})
    if name == DATAPACKAGE or has_column(text, "observationID", "classificationMethod"):
        if column is not None:
            raise InputError(
                f"{where}: is a Camtrap DP, which has its own columns of names; leave out --predictions-column"
            )
        tables = observation_tables(url, content, "predictions")
        for table in tables:
            digest.update(b"\0" + table.content)
        found = camtrap_names(tables, where)
        if found.has_boxes:
            detections = detections_from_camtrap(url, content, name)
    else:
        found = table_names(text, where, column)
    if column is not None:
        digest.update(b"\0" + column.encode())
    _check_any(found.entries, found.unusable, where)
    return Predictions(
        name, found.tool, digest.hexdigest(), found.entries, found.n_rows, None, detections, found.unusable, found.notes
    )


def _refuse_list(content: Any, where: str) -> NoReturn:
    """Refuse a list in JSON: every format of predictions is an object; Label Studio's tasks hold what people said."""
    if isinstance(content, list) and any(is_task(entry) for entry in content[:1]):
        raise InputError(
            f"{where}: is an export of Label Studio, which people's labels come from; give it with --labels"
        )
    raise InputError(
        f"{where}: is a list; expected an object with `images` (MegaDetector) or with `predictions` (SpeciesNet)"
    )


def _check_any(entries: dict[str, GivenEntry], unusable: Sequence[str], where: str) -> None:
    """Refuse a file without one name, with the first reason that it gives."""
    if any(one.candidates for entry in entries.values() if isinstance(entry, tuple) for one in entry):
        return
    reasons = [
        f"{file!r}: {one.problem or one.nameless}"
        for file, entry in entries.items()
        for one in entry
        if isinstance(one, Given) and (one.problem or one.nameless)
    ]
    reasons += [f"{file!r}: {entry}" for file, entry in entries.items() if isinstance(entry, str)]
    why = next(iter([*reasons, *unusable]), None)
    raise InputError(f"{where}: holds no name that can be used{f' ({why})' if why else ''}; nothing can be audited")

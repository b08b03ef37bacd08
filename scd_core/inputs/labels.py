"""Human truth from the files that people keep it in: CSV, Camtrap DP observations, MegaDetector or Timelapse JSON."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath

from scd_core.errors import InputError
from scd_core.inputs.camtrap_dp import DATAPACKAGE, observation_tables
from scd_core.inputs.csv import Line, has_column, read_csv
from scd_core.inputs.joining import path_as_joined
from scd_core.inputs.megadetector import parse_megadetector
from scd_core.inputs.text import decode_text, read_file
from scd_core.names import Flank, LabelFormat
from scd_core.storage import clean_url

__all__ = ["Label", "LabelFile", "read_labels"]


@dataclass(frozen=True, slots=True)
class Label:
    """One name given by a person."""

    file: str
    """As written, in the form of :func:`scd_core.inputs.joining.path_as_joined`."""
    detection_id: str | None
    individual_id: str
    flank: Flank | None
    labelled_by: str | None
    labelled_at: datetime | None
    """UTC; None where the file has no time."""


@dataclass(frozen=True)
class LabelFile:
    """A file of human labels."""

    name: str
    """The file's own name, for messages."""
    format: LabelFormat
    import_id: str
    """First 16 hex digits of the sha256 over everything that was read: the same content is the same import."""
    labels: tuple[Label, ...]
    """At least one; identical labels are kept once."""


def read_labels(url: str, fmt: str | None = None) -> LabelFile:
    """Read a file of human labels.

    Formats: ``csv`` with the columns ``file, individual_id[, detection_id, flank, labelled_by, labelled_at]``;
    ``camtrap-dp``, a ``datapackage.json``, or an ``observations.csv`` with ``media.csv`` beside it, whose human
    classifications carry an ``individualID``; ``timelapse``, a MegaDetector results file whose first classification of a
    detection is the name (the version of the classifier, if the file names one, becomes ``labelled_by``).

    Args:
        url: fsspec URL or path.
        fmt: one of the formats; None finds it by the name and the first line.

    Raises:
        InputError: the file cannot be read, is of no known format, lacks a column, holds no label, or a line of it
            cannot be used; the message gives the line.
    """
    if fmt is not None and fmt not in set(LabelFormat):
        raise InputError(f"labels format {fmt}: not known; give one of {', '.join(LabelFormat)}")
    name, where = PurePosixPath(url).name, f"labels {clean_url(url)}"
    content, media_content = read_file(url, "labels"), b""
    text = decode_text(content, where)
    found = LabelFormat(fmt) if fmt else _detect(name, text)
    if found is LabelFormat.CSV:
        labels = _from_csv(text, where)
    elif found is LabelFormat.TIMELAPSE:
        labels = _from_timelapse(text, where)
    else:
        observations, media = observation_tables(url, content, "labels")
        content, media_content = observations.content, media.content
        media_lines = list(media.lines(("mediaID", "filePath"), is_strict=True))
        labels = _from_camtrap(observations.lines(_OBSERVATIONS, is_strict=True), media_lines, where)
    kept = tuple(dict.fromkeys(labels))
    if not kept:
        raise InputError(f"{where}: holds no label; nothing was imported")
    digest = hashlib.sha256(found.encode() + b"\0" + content + b"\0" + media_content)
    return LabelFile(name, found, digest.hexdigest()[:16], kept)


_OBSERVATIONS = ("mediaID", "individualID", "classificationMethod")


def _detect(name: str, text: str) -> LabelFormat:
    if name == DATAPACKAGE:
        return LabelFormat.CAMTRAP_DP
    if name.lower().endswith(".json") or text.lstrip().startswith("{"):
        return LabelFormat.TIMELAPSE
    if has_column(text, "observationID", "classificationMethod"):
        return LabelFormat.CAMTRAP_DP
    return LabelFormat.CSV


def _from_csv(text: str, where: str) -> Iterator[Label]:
    for line in read_csv(text, where, ("file", "individual_id"), is_strict=True):
        if not line["file"]:
            raise InputError(f"{line.where}: file is empty")
        if not line["individual_id"]:
            raise InputError(f"{line.where}: individual_id is empty; write unknown for none of the known ones")
        yield Label(
            file=path_as_joined(line["file"]),
            detection_id=line["detection_id"] or None,
            individual_id=line["individual_id"],
            flank=_flank(line),
            labelled_by=line["labelled_by"] or None,
            labelled_at=_time(line, "labelled_at"),
        )


def _from_camtrap(observations: Iterator[Line], media: Sequence[Line], where: str) -> Iterator[Label]:
    """Human observations with an individualID; one that names an event holds for each of the event's media."""
    path_of = {line["mediaID"]: line["filePath"] for line in media}
    n_human = 0
    for line in observations:
        if line["classificationMethod"] != "human":
            continue
        n_human += 1
        if not line["individualID"]:
            continue
        if not line["mediaID"]:
            files = _event_files(line, media)
        elif line["mediaID"] in path_of:
            files = [path_of[line["mediaID"]]]
        else:
            raise InputError(f"{line.where}: mediaID {line['mediaID']} is not in media.csv")
        for file in files:
            yield Label(
                file=path_as_joined(file),
                detection_id=None,
                individual_id=line["individualID"],
                flank=None,
                labelled_by=line["classifiedBy"] or None,
                labelled_at=_time(line, "classificationTimestamp"),
            )
    if not n_human:
        raise InputError(f"{where}: no observation has classificationMethod human")


def _event_files(line: Line, media: Sequence[Line]) -> list[str]:
    start, end = _time(line, "eventStart"), _time(line, "eventEnd")
    if start is None or end is None:
        raise InputError(f"{line.where}: neither a mediaID nor eventStart and eventEnd")
    files = []
    for row in media:
        if row["deploymentID"] == line["deploymentID"]:
            time = _time(row, "timestamp")
            if time is not None and start <= time <= end:
                files.append(row["filePath"])
    return files


def _from_timelapse(text: str, where: str) -> Iterator[Label]:
    results = parse_megadetector(text, where)
    names, classifier = results.classification_categories, results.info.get("classifier")
    completed = str(results.info.get("classification_completion_time") or "")
    for image in results.images():
        for place, box in enumerate(image.boxes or ()):
            if box.classification is None:
                continue
            if box.classification not in names:
                raise InputError(
                    f"{where}: {image.where}: category {box.classification} is not in classification_categories"
                )
            yield Label(
                file=image.file,
                detection_id=str(place),
                individual_id=names[box.classification],
                flank=None,
                labelled_by=str(classifier) if classifier else None,
                labelled_at=_parse_time(completed, where, "classification_completion_time"),
            )


def _time(line: Line, column: str) -> datetime | None:
    return _parse_time(line[column], line.where, column)


def _parse_time(text: str, where: str, column: str) -> datetime | None:
    if not text:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"{where}: {column} {text!r} is no ISO 8601 time such as 2026-03-01T06:30:00Z") from error
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)


def _flank(line: Line) -> Flank | None:
    text = line["flank"].lower()
    if text and text not in set(Flank):
        raise InputError(f"{line.where}: flank {line['flank']!r}; expected left, right or nothing")
    return Flank(text) if text else None

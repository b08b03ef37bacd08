"""Reading human truth from the files people keep it in: CSV, Camtrap DP observations, MegaDetector or Timelapse JSON."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any, Literal, cast, get_args

import fsspec
import pyarrow as pa

from scd_core.errors import InputError
from scd_core.tables.schema import table_from_rows

__all__ = ["LabelFormat", "LabelSource", "label_file_name", "read_labels", "read_source"]

LabelFormat = Literal["csv", "camtrap-dp", "timelapse"]


@dataclass(frozen=True)
class LabelSource:
    """The bytes of a labels file, and of the media.csv beside it where the format needs one."""

    name: str  # the file's own name, for messages
    content: bytes
    format: LabelFormat
    media_csv: bytes | None = None  # Camtrap DP only

    @property
    def import_id(self) -> str:
        """First 16 hex digits of the sha256 over everything that was read: the same content is the same import."""
        digest = hashlib.sha256(self.format.encode() + b"\0" + self.content + b"\0" + (self.media_csv or b""))
        return digest.hexdigest()[:16]


def read_labels(file_url: str, fmt: str | None = None, *, imported_at: datetime | None = None) -> pa.Table:
    """Read a file of human labels as rows of the table ``labels``; ``media_id`` stays null until an import finds it.

    Formats: ``csv`` with the columns ``file, individual_id[, detection_id, flank, labelled_by,
    labelled_at]``; ``camtrap-dp``, an
    ``observations.csv`` whose human classifications carry an ``individualID``, with ``media.csv`` beside it;
    ``timelapse``, a MegaDetector results file whose first classification of a detection is the name (the version of the
    classifier, if the file names one, becomes ``labelled_by``). Identical rows are kept once.

    Args:
        file_url: fsspec URL or path.
        fmt: one of the formats; None tells it from the name and the first line.
        imported_at: time of the import, which also stands in for a time of labelling that is not told; None is now.

    Raises:
        InputError: the file cannot be read, is of no known format, lacks a column, holds no label, or a line of it
            cannot be used; the message gives the line.
    """
    return source_rows(read_source(file_url, fmt), imported_at or datetime.now(UTC))


def source_rows(source: LabelSource, imported_at: datetime) -> pa.Table:
    """The rows of a source that was read; arguments and errors as in :func:`read_labels`."""
    readers = {"csv": _csv_rows, "camtrap-dp": _camtrap_rows, "timelapse": _timelapse_rows}
    rows: dict[str, dict[str, Any]] = {}
    for row in readers[source.format](source):
        label_id = hashlib.sha256(json.dumps(row, sort_keys=True, default=str).encode()).hexdigest()[:16]
        row["labelled_at"] = row.get("labelled_at") or imported_at
        rows[label_id] = row | {
            "label_id": label_id,
            "import_id": source.import_id,
            "label_source": source.format,
            "imported_at": imported_at,
        }
    if not rows:
        raise InputError(f"labels {source.name}: holds no label; nothing was imported")
    return table_from_rows("labels", list(rows.values()))


def read_source(file_url: str, fmt: str | None = None) -> LabelSource:
    """Fetch a labels file and tell its format.

    Raises:
        InputError: it cannot be read, or is of no known format.
    """
    if fmt is not None and fmt not in get_args(LabelFormat):
        raise InputError(f"labels format {fmt}: not known; give one of {', '.join(get_args(LabelFormat))}")
    name = PurePosixPath(file_url).name
    content = _fetch(file_url, f"labels {name}")
    found = cast(LabelFormat, fmt) if fmt else _detect(name, content)
    if found != "camtrap-dp":
        return LabelSource(name, content, found)
    media_url = file_url[: len(file_url) - len(name)] + "media.csv"
    return LabelSource(name, content, found, _fetch(media_url, f"labels {name}: media.csv beside it"))


def label_file_name(file: str) -> str:
    """A label's file in the form that media are compared in: forward slashes, no ``./``, no credentials.

    >>> label_file_name("./C01\\\\IMG_1.JPG")
    'C01/IMG_1.JPG'
    >>> label_file_name("s3://key:secret@bucket/C01/IMG_1.JPG")
    's3://bucket/C01/IMG_1.JPG'
    """
    file = file.strip().replace("\\", "/")
    scheme, separator, rest = file.partition("://")
    if separator:
        host, slash, path = rest.partition("/")
        return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"
    while file.startswith("./"):
        file = file[2:]
    return file


def _fetch(url: str, what: str) -> bytes:
    try:
        with fsspec.open(url, "rb") as handle:
            return cast(bytes, handle.read())
    except (OSError, ValueError, ImportError) as error:
        raise InputError(f"{what}: cannot be read ({error}); give an existing file") from error


def _detect(name: str, content: bytes) -> LabelFormat:
    if name.lower().endswith(".json") or content.lstrip()[:1] == b"{":
        return "timelapse"
    header = content.split(b"\n", 1)[0]
    if b"observationID" in header or b"classificationMethod" in header:
        return "camtrap-dp"
    return "csv"


def _records(name: str, content: bytes, required: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """Lines of a CSV file as (line number, column -> stripped text); a short line has empty columns."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InputError(f"labels {name}: line {line}: not UTF-8; save the file as UTF-8") from error
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, restkey="", restval="", strict=True)
    try:
        columns = [column.strip() for column in reader.fieldnames or []]
        reader.fieldnames = columns
        for column in required:
            if column not in columns:
                found = ", ".join(columns) or "an empty file"
                raise InputError(
                    f"labels {name}: line 1: no column {column}; expected {', '.join(required)}, got {found}"
                )
        for record in reader:
            if record.pop("", None) not in (None, "", []):
                raise InputError(
                    f"labels {name}: line {reader.line_num}: more values than the {len(columns)} columns; "
                    "quote values that hold the separator"
                )
            yield reader.line_num, {key: value.strip() for key, value in record.items()}
    except csv.Error as error:
        raise InputError(f"labels {name}: line {reader.line_num}: {error}") from error


def _time(name: str, line: int, column: str, text: str) -> datetime | None:
    if not text:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(
            f"labels {name}: line {line}: {column} {text!r} is no ISO 8601 time such as 2026-03-01T06:30:00Z"
        ) from error
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)


def _flank(name: str, line: int, text: str) -> str | None:
    if text.lower() not in ("", "left", "right"):
        raise InputError(f"labels {name}: line {line}: flank {text!r}; expected left, right or nothing")
    return text.lower() or None


def _csv_rows(source: LabelSource) -> Iterator[dict[str, Any]]:
    for line, record in _records(source.name, source.content, ("file", "individual_id")):
        if not record["file"]:
            raise InputError(f"labels {source.name}: line {line}: file is empty")
        if not record["individual_id"]:
            raise InputError(
                f"labels {source.name}: line {line}: individual_id is empty; write unknown for none of the known ones"
            )
        yield {
            "file": label_file_name(record["file"]),
            "detection_id": record.get("detection_id") or None,
            "individual_id": record["individual_id"],
            "flank": _flank(source.name, line, record.get("flank", "")),
            "labelled_by": record.get("labelled_by") or None,
            "labelled_at": _time(source.name, line, "labelled_at", record.get("labelled_at", "")),
        }


def _camtrap_rows(source: LabelSource) -> Iterator[dict[str, Any]]:
    """Human observations with an individualID; one that names an event holds for each of the event's media."""
    media = [record for _, record in _records("media.csv", source.media_csv or b"", ("mediaID", "filePath"))]
    path_of = {record["mediaID"]: record["filePath"] for record in media}
    n_human = 0
    required = ("mediaID", "individualID", "classificationMethod")
    for line, record in _records(source.name, source.content, required):
        if record["classificationMethod"] != "human":
            continue
        n_human += 1
        if not record["individualID"]:
            continue
        if record["mediaID"]:
            if record["mediaID"] not in path_of:
                raise InputError(f"labels {source.name}: line {line}: mediaID {record['mediaID']} is not in media.csv")
            files = [path_of[record["mediaID"]]]
        else:
            files = _event_files(source.name, line, record, media)
        for file in files:
            yield {
                "file": label_file_name(file),
                "detection_id": None,
                "individual_id": record["individualID"],
                "labelled_by": record.get("classifiedBy") or None,
                "labelled_at": _time(
                    source.name, line, "classificationTimestamp", record.get("classificationTimestamp", "")
                ),
            }
    if not n_human:
        raise InputError(f"labels {source.name}: no observation has classificationMethod human")


def _event_files(name: str, line: int, record: dict[str, str], media: list[dict[str, str]]) -> list[str]:
    start = _time(name, line, "eventStart", record.get("eventStart", ""))
    end = _time(name, line, "eventEnd", record.get("eventEnd", ""))
    if start is None or end is None:
        raise InputError(f"labels {name}: line {line}: neither a mediaID nor eventStart and eventEnd")
    files = []
    for number, row in enumerate(media, start=2):
        if row.get("deploymentID") == record.get("deploymentID"):
            time = _time("media.csv", number, "timestamp", row.get("timestamp", ""))
            if time is not None and start <= time <= end:
                files.append(row["filePath"])
    return files


def _timelapse_rows(source: LabelSource) -> Iterator[dict[str, Any]]:
    try:
        content = json.loads(source.content)
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        line = getattr(error, "lineno", 1)
        raise InputError(f"labels {source.name}: line {line}: not JSON ({error})") from error
    if not isinstance(content, dict) or not isinstance(content.get("images"), list):
        raise InputError(f"labels {source.name}: no list `images`; expected a MegaDetector or Timelapse results file")
    names = content.get("classification_categories") or {}
    info = content.get("info") or {}
    told_at = str(info.get("classification_completion_time") or "")
    for number, image in enumerate(content["images"]):
        where = f"images[{number}]"
        if not isinstance(image, dict) or not image.get("file"):
            raise InputError(f"labels {source.name}: {where}: no file")
        for index, detection in enumerate(image.get("detections") or []):
            classifications = detection.get("classifications") or []
            if not classifications:
                continue
            category = str(classifications[0][0])
            if category not in names:
                raise InputError(
                    f"labels {source.name}: {where}: category {category} is not in classification_categories"
                )
            yield {
                "file": label_file_name(str(image["file"])),
                "detection_id": str(index),
                "individual_id": str(names[category]),
                "labelled_by": info.get("classifier") or None,
                "labelled_at": _time(source.name, 1, "classification_completion_time", told_at),
            }

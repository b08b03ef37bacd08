"""Importing labels into an audit: append-only, matched to media where they are known, conflicts named."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import PurePosixPath

import duckdb
import pyarrow as pa

from scd_core.audit.labels.truth import create_label_media, create_truth
from scd_core.audit.query.connection import open_tables
from scd_core.audit.sql import load_sql
from scd_core.errors import InputError
from scd_core.inputs.joining import PathIndex
from scd_core.inputs.labels import Label, LabelFile, read_labels
from scd_core.names import UNKNOWN, LabelFormat, LabelState
from scd_core.tables.rows import LabelRow
from scd_core.tables.schema import table_from_rows, table_schema
from scd_core.tables.store import AuditStore

__all__ = ["check_labels", "import_labels", "label_rows"]

_BOX = ("bbox_x_min", "bbox_y_min", "bbox_width", "bbox_height")


@dataclass(frozen=True)
class ImportResult:
    """What an import of labels did."""

    import_id: str
    n_rows: int  # labels written by this import
    n_repeated: int  # labels that OUT held already
    n_known_media: int  # written labels whose media were seen
    n_waiting: int  # written labels that wait for media
    conflicts: list[str] = field(default_factory=list)  # one line per target named differently at one moment
    ambiguous: list[str] = field(default_factory=list)  # files that fit several objects; give their full URI


def import_labels(
    out: str, file: str | LabelFile, fmt: str | None = None, *, now: datetime | None = None
) -> ImportResult:
    """Add the labels of a file to an audit; importing the same content again adds nothing.

    All labels are kept, with who and when; the newest of a target counts. A label that repeats one in OUT is left out:
    one with a time where it repeats any, one without where it repeats the one that counts. Labels of images that the
    audit has not seen yet wait for them.

    Args:
        out: OUT; need not hold an audit yet.
        file: fsspec URL or path of the labels, in one of the formats of :func:`scd_core.inputs.labels.read_labels`; or what
            that function read.
        fmt: format of a file that is still to be read; None finds it by the file.
        now: time of the import; None is now.

    Raises:
        InputError: the file cannot be used; the message gives the line.
        RunError: OUT cannot be written.
    """
    source = file if isinstance(file, LabelFile) else read_labels(file, fmt)
    now = now or datetime.now(UTC)
    store = AuditStore(out)
    if any(PurePosixPath(file).stem == source.import_id for file in store.committed_files("labels")):
        return ImportResult(source.import_id, 0, len(source.labels), 0, 0)
    rows = table_from_rows("labels", label_rows(source, now))
    with open_tables(out, may_be_empty=True) as connection:
        new = _without_repeats(connection, rows)
        new, ambiguous = _with_media(connection, new)
        conflicts = _conflicts(connection, new)
    if len(new):
        store.write_table("labels", new, now.date(), source.import_id)
    n_waiting = new.column("media_id").null_count
    n_known = len(new) - n_waiting
    return ImportResult(source.import_id, len(new), len(rows) - len(new), n_known, n_waiting, conflicts, ambiguous)


def label_rows(source: LabelFile, imported_at: datetime) -> list[LabelRow]:
    """Rows of the table ``labels``; ``media_id`` stays null until an import finds it.

    Args:
        source: a file of labels that was read.
        imported_at: time of the import, which also stands in for a time of labelling that is not known.
    """
    return [
        {
            "import_id": source.import_id,
            "label_id": _label_id(label, source.format),
            "file": label.file,
            "detection_id": label.detection_id,
            "individual_id": label.individual_id,
            "flank": label.flank,
            "label_source": source.format,
            "labelled_by": label.labelled_by,
            "labelled_at": label.labelled_at or imported_at,
            "imported_at": imported_at,
            "state": label.state if label.individual_id != UNKNOWN else LabelState.UNKNOWN,
            **dict(zip(_BOX, label.bbox or (None,) * 4, strict=True)),
            "import_file": source.name,
        }
        for label in source.labels
    ]


def _label_id(label: Label, source_format: LabelFormat) -> str:
    """First 16 hex digits of the sha256 over what the file holds; only a CSV file can hold a flank."""
    if label.label_id is not None:
        return label.label_id
    content = asdict(label)
    del content["label_id"]
    if source_format is not LabelFormat.CSV:
        del content["flank"]
    if label.state in (LabelState.NAMED, LabelState.UNKNOWN):
        del content["state"]
    if label.bbox is None:
        del content["bbox"]
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:16]


def check_labels(labels: Sequence[Label], files: Collection[str], individuals: Collection[str]) -> list[str]:
    """Compare labels with what a run is about to audit.

    Args:
        labels: labels of a file.
        files: the run's media, as paths relative to SOURCE, URIs, or both.
        individuals: names that the model knows.

    Returns:
        One line per kind of doubt, for a warning: files that are not among the media, and individuals that the model
        cannot name (they are new ones, or misspelt).

    Raises:
        InputError: no label names one of the media, or none names an individual that the model knows.
    """
    named = list(dict.fromkeys(label.file for label in labels))
    strange = PathIndex(files).absent(named, by_ending=True)
    if len(strange) == len(named):
        raise InputError(
            f"labels: none of {len(named)} files is among the images of SOURCE (the first is {named[0]}); "
            "give `file` relative to SOURCE, or as a full URI"
        )
    known = {*individuals, UNKNOWN}
    people = list(dict.fromkeys(name for label in labels if (name := label.individual_id) is not None))
    new = [name for name in people if name not in known]
    if people and len(new) == len(people):
        raise InputError(
            f"labels: the model knows none of the individuals ({_some(new)}); its names are {_some(sorted(known - {UNKNOWN}))}"
        )
    warnings = []
    if strange:
        warnings.append(
            f"labels: {len(strange)} files are not among the images of SOURCE and wait for them: {_some(strange)}"
        )
    if new:
        warnings.append(
            f"labels: the model does not know {len(new)} individuals, they count as unknown ones: {_some(new)}"
        )
    return warnings


def _some(names: Collection[str], n: int = 5) -> str:
    shown = ", ".join(list(names)[:n])
    return f"{shown} and {len(names) - n} more" if len(names) > n else shown


def _without_repeats(connection: duckdb.DuckDBPyConnection, rows: pa.Table) -> pa.Table:
    create_truth(connection)
    return _query(connection, "new_labels", rows).to_arrow_table().cast(table_schema("labels"))


def _with_media(connection: duckdb.DuckDBPyConnection, rows: pa.Table) -> tuple[pa.Table, list[str]]:
    """Labels with their media_id where their file fits one object, and the files that fit several."""
    connection.register("incoming", rows)
    create_label_media(connection, "incoming")
    placed = _query(connection, "placed_labels", rows).to_arrow_table().cast(table_schema("labels"))
    ambiguous = connection.execute("SELECT file FROM label_media WHERE n_objects > 1 ORDER BY file").fetchall()
    return placed, [file for (file,) in ambiguous]


def _conflicts(connection: duckdb.DuckDBPyConnection, rows: pa.Table) -> list[str]:
    """Targets of these labels that some label of the same moment names differently, in words."""
    return [
        f"{file}{f' detection {detection}' if detection else ''} at {moment:%Y-%m-%dT%H:%M:%SZ}: {names}"
        for file, detection, moment, names in _query(connection, "conflicts", rows).fetchall()
    ]


def _query(connection: duckdb.DuckDBPyConnection, name: str, rows: pa.Table) -> duckdb.DuckDBPyRelation:
    """The query ``sql/<name>.sql`` over some labels, which are its table ``incoming``."""
    connection.register("incoming", rows)
    return connection.sql(load_sql("scd_core.audit.labels", name))

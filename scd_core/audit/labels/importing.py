"""Importing labels into an audit: append-only, matched to media where they are known, conflicts named, undone by a row."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa

from scd_core.audit.labels.checks import boxless_notes, check_labels, future_notes
from scd_core.audit.labels.truth import create_label_media, create_truth
from scd_core.audit.query.connection import open_tables
from scd_core.audit.sql import load_sql
from scd_core.errors import InputError
from scd_core.inputs.counts import FileCounts, counts_as_json
from scd_core.inputs.labels import Label, LabelFile, read_labels
from scd_core.label_names import LabelFormat, LabelState
from scd_core.names import UNKNOWN
from scd_core.tables.rows import LabelRow
from scd_core.tables.schema import table_from_rows, table_schema
from scd_core.tables.store import AuditStore
from scd_core.tables.tombstones import Tombstones, read_tombstones

__all__ = ["import_labels", "known_names", "label_rows", "list_imports", "undo_import", "undo_row"]

_BOX = ("bbox_x_min", "bbox_y_min", "bbox_width", "bbox_height")


@dataclass(frozen=True)
class ImportResult:
    """What an import of labels did."""

    import_id: str
    n_rows: int  # labels written by this import
    n_repeated: int  # labels that OUT held already
    n_known_media: int  # written labels whose media were seen
    n_waiting: int  # written labels that wait for media
    counts: FileCounts | None  # what became of the file's rows; None where a run was given what OUT holds
    conflicts: list[str] = field(default_factory=list)  # one line per target named differently at one moment
    ambiguous: list[str] = field(default_factory=list)  # files that fit several objects; give their full URI
    new_names: list[str] = field(default_factory=list)  # individuals that neither the model nor earlier labels know
    waiting: list[str] = field(default_factory=list)  # files that OUT knows no picture of


class _Doubts(NamedTuple):
    """Files of labels that are in doubt, one for each label."""

    ambiguous: list[str]
    waiting: list[str]
    boxless: list[str]


def import_labels(
    out: str,
    file: str | LabelFile,
    fmt: str | None = None,
    *,
    now: datetime | None = None,
    allow_waiting: bool = True,
    allow_new_names: bool = True,
    is_decision: bool = True,
) -> ImportResult:
    """Add the labels of a file to an audit; what repeats a label that counts adds nothing.

    All labels are kept, with who and when; the newest of a target counts. A label that repeats one in OUT is left out:
    one with a time where it repeats any, one without where it repeats the one that counts. So A, then B, then A again is A.
    Labels of images that the audit has not seen yet wait for them.

    Args:
        out: OUT; need not hold an audit yet.
        file: fsspec URL or path of the labels, in one of the formats of :func:`scd_core.inputs.labels.read_labels`; or what
            that function read.
        fmt: format of a file that is still to be read; None finds it by the file.
        now: time of the import; None is now.
        allow_waiting: none of the files need be known to an audit that OUT holds.
        allow_new_names: names need not be known to a model or earlier labels of OUT.
        is_decision: a person imports the file now. A run that is given the same file each night makes no decision: a file that
            OUT holds adds nothing then, so that what was corrected or undone since stays so.

    Raises:
        InputError: the file cannot be used; the message gives the line.
        RunError: OUT cannot be written.
    """
    source = file if isinstance(file, LabelFile) else read_labels(file, fmt)
    now = now or datetime.now(UTC)
    store = AuditStore(out)
    held = store.import_keys()
    if not is_decision and source.import_id in held:
        return ImportResult(source.import_id, 0, len(source.labels), 0, 0, None)
    rows, stones = table_from_rows("labels", label_rows(source, now)), read_tombstones(store)
    with open_tables(out, may_be_empty=True) as connection:
        create_truth(connection)
        names = _names(connection)
        new_names = check_labels(
            source.labels,
            () if allow_waiting else _strange(connection, source),
            [name for name, _ in names] if any(is_of_model for _, is_of_model in names) else None,
            "OUT",
            allow_waiting=allow_waiting,
            allow_new_names=allow_new_names,
        )
        new = _query(connection, "new_labels", rows).to_arrow_table().cast(table_schema("labels"))
        import_id = _free_id(source.import_id, held)
        new = new.set_column(0, new.schema.field("import_id"), pa.array([import_id] * len(new), pa.string()))
        _create_label_media_of(connection, new)
        placed = _query(connection, "placed_labels", new).to_arrow_table().cast(table_schema("labels"))
        new = _with_counts(_without_forgotten(connection, stones, placed), source, now, stones)
        if not len(new):
            counts = _counts(source, _doubts(connection, source, ""), now)
            return ImportResult(source.import_id, 0, len(rows), 0, 0, counts, new_names=new_names)
    store.write_table("labels", new, now.date(), import_id)
    with open_tables(out, may_be_empty=True) as connection:
        create_truth(connection)
        doubts = _doubts(connection, source, import_id)
        conflicts = _conflicts(connection, import_id)
    n_waiting = new.column("media_id").null_count
    return ImportResult(
        import_id,
        len(new),
        len(rows) - len(new),
        len(new) - n_waiting,
        n_waiting,
        _counts(source, doubts, now),
        conflicts,
        list(dict.fromkeys(doubts.ambiguous)),
        new_names,
        list(dict.fromkeys(doubts.waiting)),
    )


def undo_import(out: str, import_id: str, *, now: datetime | None = None) -> int:
    """Undo an import of labels: a row says so, and none of its labels counts any more.

    Args:
        out: OUT.
        import_id: of the import; its first digits will do.
        now: time of the decision; None is now.

    Returns:
        Number of labels that no longer count.

    Raises:
        InputError: there is no such import, or several, or it is undone already, or it is itself the undoing of one.
        RunError: OUT cannot be written.
    """
    now, import_id = now or datetime.now(UTC), import_id.strip()
    if not import_id:
        raise InputError("labels undo: IMPORT is empty; give the import_id that `trapaudit labels list OUT` shows")
    imports = list_imports(out).to_pylist()
    found = [row for row in imports if row["import_id"].startswith(import_id)]
    if not found and (undone := _undone_by(out, import_id)):
        raise InputError(
            f"labels undo {import_id}: is the undoing of import {undone[0]}; import the file again to take that back"
        )
    if len(found) != 1:
        ids = ", ".join(row["import_id"] for row in found or imports) or "none"
        raise InputError(
            f"labels undo {import_id}: {'fits several' if found else 'there is no such import'}; imports are {ids}"
        )
    (wanted,) = found
    if wanted["undone_at"] is not None:
        raise InputError(f"labels undo {import_id}: is undone already; import the file again to take that back")
    row = undo_row(wanted["import_id"], now)
    AuditStore(out).write_table("labels", table_from_rows("labels", [row]), now.date(), row["import_id"])
    return int(wanted["n_labels"])


def undo_row(import_id: str, now: datetime) -> LabelRow:
    """The row that undoes an import of labels, which is alone in its file.

    Args:
        import_id: of the import.
        now: time of the decision.
    """
    name = hashlib.sha256(f"undo {import_id}".encode()).hexdigest()[:16]
    return {"import_id": name, "label_id": name, "file": "", "imported_at": now, "undoes_import_id": import_id}


def _undone_by(out: str, import_id: str) -> list[str]:
    """Imports that were undone by rows whose id begins so."""
    with open_tables(out, may_be_empty=True) as connection:
        return [undone for (undone,) in _fetch(connection, "undone_by", import_id)]


def list_imports(out: str) -> pa.Table:
    """Imports of labels, oldest first.

    Returns:
        Columns ``import_id, imported_at, file, format, labelled_by, n_labels, n_count, n_waiting, counts, undone_at``;
        `counts` is ``import_counts`` of the table ``labels``.

    Raises:
        InputError: OUT holds nothing, or was written by a newer version.
    """
    AuditStore(out).check_begun()
    with open_tables(out, may_be_empty=True) as connection:
        create_truth(connection)
        return connection.sql(load_sql("scd_core.audit.labels", "imports")).to_arrow_table()


def known_names(out: str) -> set[str]:
    """Names that the models of an audit and the labels in it know, undone ones left out; none where OUT holds no audit.

    Raises:
        InputError: OUT was written by a newer version.
    """
    with open_tables(out, may_be_empty=True) as connection:
        create_truth(connection)
        return {name for name, _ in _names(connection)}


def _names(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, bool]]:
    """Names that an audit knows, and whether a model does.

    Args:
        connection: database with the audit's tables and ``label_matches``.
    """
    return connection.execute(load_sql("scd_core.audit.labels", "known_names")).fetchall()


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
            "label_source": label.source or source.format,
            "labelled_by": label.labelled_by,
            "labelled_at": label.labelled_at or imported_at,
            "imported_at": imported_at,
            "state": label.state if label.individual_id != UNKNOWN else LabelState.UNKNOWN,
            "bbox_x_min": label.bbox and label.bbox[0],
            "bbox_y_min": label.bbox and label.bbox[1],
            "bbox_width": label.bbox and label.bbox[2],
            "bbox_height": label.bbox and label.bbox[3],
            "import_file": source.name,
            "queue": label.queue,
            "queue_probability": label.queue_probability,
            "review_queue": label.review_queue,
        }
        for label in source.labels
    ]


def _label_id(label: Label, source_format: LabelFormat) -> str:
    """First 16 hex digits of the sha256 over what the file holds; only some formats can hold a flank."""
    if label.label_id is not None:
        return label.label_id
    content = asdict(label)
    for column in ("label_id", "source", "queue", "queue_probability", "review_queue"):
        del content[column]
    if source_format not in (LabelFormat.CSV, LabelFormat.LABEL_STUDIO):
        del content["flank"]
    if label.state in (LabelState.NAMED, LabelState.UNKNOWN):
        del content["state"]
    if label.bbox is None:
        del content["bbox"]
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _strange(connection: duckdb.DuckDBPyConnection, source: LabelFile) -> set[str]:
    """Files of labels that fit none of the media of an audit; none where it has no media yet."""
    if connection.execute("SELECT count(*) FROM media").fetchall() == [(0,)]:
        return set()
    named = {label.file for label in source.labels}
    connection.register("files_named", pa.table({"file": pa.array(sorted(named), pa.string())}))
    create_label_media(connection, "files_named")
    return named - {file for (file,) in connection.execute("SELECT file FROM label_media").fetchall()}


def _free_id(import_id: str, held: set[str]) -> str:
    """The id, or one made from it where OUT holds an import of this content."""
    found, n = import_id, 1
    while found in held:
        n += 1
        found = hashlib.sha256(f"{import_id} {n}".encode()).hexdigest()[:16]
    return found


def _doubts(connection: duckdb.DuckDBPyConnection, source: LabelFile, import_id: str) -> _Doubts:
    """Labels of a file that are in doubt, whichever import holds them; `import_id` is that of the new ones."""
    ambiguous, waiting, boxless = _fetch(connection, "unplaced", import_id)[0]
    several, missing = set(ambiguous), set(waiting)
    files = [label.file for label in source.labels]
    return _Doubts([file for file in files if file in several], [file for file in files if file in missing], boxless)


def _counts(source: LabelFile, doubts: _Doubts, now: datetime) -> FileCounts:
    notes = [*boxless_notes(doubts.boxless), *future_notes(source.labels, now)]
    return source.counts(doubts.ambiguous, doubts.waiting, notes)


def _without_forgotten(connection: duckdb.DuckDBPyConnection, stones: Tombstones, rows: pa.Table) -> pa.Table:
    """Rows of an import without those of pictures that were forgotten, which would wait in vain, or count for another one."""
    if not stones:
        return rows
    paths = dict(_query(connection, "paths_of_labelled", rows).fetchall())
    columns = zip(rows.column("media_id").to_pylist(), rows.column("file").to_pylist(), strict=True)
    stays = [
        not stones.has_name(file, in_doubt=True)
        if media_id is None
        else not stones.has_medium(media_id) and not stones.has_other_name(file, paths.get(media_id, ()))
        for media_id, file in columns
    ]
    return rows.filter(pa.array(stays, pa.bool_()))


def _with_counts(rows: pa.Table, source: LabelFile, now: datetime, stones: Tombstones) -> pa.Table:
    """Rows of an import, the first with what became of the file's rows: which were left out, and why."""
    column = rows.schema.get_field_index("import_counts")
    told = source.counts((), (), future_notes(source.labels, now)).without(stones.is_mentioned)
    counts = [counts_as_json([told]), *[None] * len(rows)]
    return rows.set_column(column, rows.schema.field(column), pa.array(counts[: len(rows)], pa.string()))


def _create_label_media_of(connection: duckdb.DuckDBPyConnection, rows: pa.Table) -> None:
    """As :func:`scd_core.audit.labels.truth.create_label_media`, for labels that are not in the audit yet."""
    connection.register("incoming", rows)
    create_label_media(connection, "incoming")


def _conflicts(connection: duckdb.DuckDBPyConnection, import_id: str) -> list[str]:
    """Targets of an import's labels that some label of the same moment names differently, in words."""
    return [
        f"{file}{f' detection {detection}' if detection else ''} at {moment:%Y-%m-%dT%H:%M:%SZ}: {names}"
        for file, detection, moment, names in _fetch(connection, "conflicts", import_id)
    ]


def _fetch(connection: duckdb.DuckDBPyConnection, name: str, import_id: str) -> list[Any]:
    """Rows of the query ``sql/<name>.sql`` about an import."""
    return connection.execute(load_sql("scd_core.audit.labels", name), {"import_id": import_id}).fetchall()


def _query(connection: duckdb.DuckDBPyConnection, name: str, rows: pa.Table) -> duckdb.DuckDBPyRelation:
    """The query ``sql/<name>.sql`` over some labels, which are its table ``incoming``."""
    connection.register("incoming", rows)
    return connection.sql(load_sql("scd_core.audit.labels", name))

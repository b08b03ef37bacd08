"""What an audit holds about one picture: its medium, its names, masks, views and decision, labels, errors and slices."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import duckdb

from scd_core.audit.labels.truth import create_truth
from scd_core.audit.query.connection import open_database
from scd_core.audit.query.picture.find import FoundPicture, find_picture, rows_of
from scd_core.audit.query.tables import TableFiles, newest_report, report_time, table_files, table_sql
from scd_core.audit.slices.data import slice_keys
from scd_core.names import Strategy
from scd_core.tables.folder import file_key
from scd_core.tables.schema import DERIVED, TABLES
from scd_core.tables.store import AuditStore

__all__ = ["PictureStory", "Row", "TargetStory", "read_story"]

Row = Mapping[str, Any]
"""Columns of a table, or of a query in the folder ``sql``, by name."""

_HEAVY = {"mask_png", "embedding"}
"""Columns that nobody reads on a screen."""
_LOOKED_UP = ("media_id", "batch_key", "uri", "file", "captured_at", "last_modified_at", "duplicate_of")
"""Columns of `media` by which pictures are found, which every version of the schema has; read of all batches."""
_OF_A_BATCH = ("media", "predictions", "masks", "reclassifications")
_STAMP = {"run_id", "batch_key", "model_digest"}
_TARGET = {"target_id", "media_id", "detection_id"}


@dataclass(frozen=True)
class TargetStory:
    """One thing that was named: the whole picture, or a box in it."""

    prediction: Row
    masks: Sequence[Row]
    views: Sequence[Row]
    """What was classified again, in the order of the strategies; the decision is not among them."""
    decision: Row | None
    error: Row | None
    """Its row of the newest report; None where that has none: neither labelled nor in doubt, or newer than the report."""
    slices: Sequence[Row]
    """Slices of the newest report that count it."""


@dataclass(frozen=True)
class PictureStory:
    """One picture, as the newest run saw it, with all labels and the other runs over it."""

    media: Row
    n_frames: int | None
    """Frames of its event; None where it has none."""
    original: Row | None
    """Of a duplicate: media_id and file of the object with the same content that was named in its place."""
    targets: Sequence[TargetStory]
    labels: Sequence[Row]
    report: Row | None
    """``report_id``, and ``is_older``: labels of this picture, or its run, came after it. None before the first report."""
    run: Row
    other_runs: Sequence[Row]
    """Newest first, each with the names that it gave."""

    def as_dict(self) -> dict[str, Any]:
        """All of it as one dictionary, for JSON; the keys are in docs/queries.md."""
        return asdict(self)


def read_story(out: str, wanted: str) -> PictureStory:
    """Read everything about one picture; only files of its own batches, the labels and the newest report are opened for it.

    Args:
        out: OUT, an fsspec URL or path.
        wanted: a media_id or target_id, an address, a path relative to SOURCE, or the end of one.

    Raises:
        InputError: OUT holds no audit, or no picture fits.
        SeveralPictures: several pictures fit.
        RunError: OUT cannot be read.
    """
    store = AuditStore(out)
    found = table_files(store)
    with open_database(store) as connection:
        reader = _Reader(connection, found, store.storage.local_root)
        media = table_sql("media", found.files["media"], root=reader.root, fill=False, columns=_LOOKED_UP)
        connection.execute(f"CREATE VIEW every_media AS {media}")
        picture = find_picture(connection, wanted, store.url)
        reader.create_tables(picture)
        return _story(reader, picture)


@dataclass(frozen=True)
class _Reader:
    """Makes tables of the audit that hold one picture only, so that the queries of the whole audit work on it."""

    connection: duckdb.DuckDBPyConnection
    found: TableFiles
    root: str | None

    def create_tables(self, picture: FoundPicture) -> None:
        media_id = picture.media_id
        for table in _OF_A_BATCH:
            self._create(table, self._of_batches(table, picture.batch_keys), "media_id = $media_id", media_id=media_id)
        self._create("runs", self._of_batches("runs", picture.batch_keys), "true")
        report = newest_report(self.found)
        newest = {table: [f"{table}/{report}"] if report else [] for table in DERIVED}
        self._create("errors", newest["errors"], "media_id = $media_id", media_id=media_id)
        self._create("error_slices", newest["error_slices"], "true")
        # A label that waits for its picture has no media_id yet; its file ends in the same name, in some spelling. Rows
        # without a file are about other rows.
        original = self._value("SELECT any_value(duplicate_of) FROM media") or media_id
        same_name = "lower(nfc_normalize(parse_filename({}))) = lower(nfc_normalize(parse_filename($uri)))"
        self._create(
            "labels",
            self.found.files["labels"],
            f"media_id IN ($media_id, $original) OR (media_id IS NULL AND (file = '' OR {same_name.format('file')}))",
            media_id=media_id,
            original=original,
            uri=picture.uri,
        )
        # Whether such a label fits this picture alone depends on the others of the same name.
        is_open = self._value("SELECT count(*) FROM labels WHERE media_id IS NULL AND file <> ''")
        others = "media_id = $original" + (f" OR {same_name.format('uri')}" if is_open else "")
        values = {"original": original} | ({"uri": picture.uri} if is_open else {})
        columns = ", ".join(_LOOKED_UP)
        self.connection.execute(
            f"INSERT INTO media ({columns}) SELECT {columns} FROM every_media WHERE media_id <> $media_id AND ({others})",
            {"media_id": media_id, **values},
        )

    def n_frames(self, media: Row) -> int | None:
        """Frames of the picture's event in its batch; None where it has no event."""
        if media["event_id"] is None:
            return None
        source = table_sql("media", self._of_batches("media", [media["batch_key"]]), root=self.root)
        return int(self._value(f"SELECT count(*) FROM ({source}) WHERE event_id = $id", id=media["event_id"]))

    def _create(self, table: str, files: Sequence[str], condition: str, **values: Any) -> None:
        columns = ", ".join(f'"{name}"' for name in self._columns(table))
        source = table_sql(table, files, root=self.root)
        self.connection.execute(f"CREATE TABLE {table} AS SELECT {columns} FROM ({source}) WHERE {condition}", values)

    def _columns(self, table: str) -> list[str]:
        return [name for name in TABLES[table] if name not in _HEAVY]

    def _of_batches(self, table: str, keys: Iterable[str]) -> list[str]:
        """The table's files of some batches: a file's name is the key of its batch."""
        wanted = set(keys)
        return [file for file in self.found.files[table] if file_key(file) in wanted]

    def _value(self, sql: str, **values: Any) -> Any:
        row = self.connection.execute(sql, values).fetchone()
        return row[0] if row else None


def _story(reader: _Reader, picture: FoundPicture) -> PictureStory:
    connection = reader.connection
    runs = rows_of(connection, "picture_runs", media_id=picture.media_id)
    newest = runs[0]
    values = {"batch_key": newest["batch_key"], "media_id": picture.media_id}
    media = _rows(connection, "SELECT * FROM media WHERE batch_key = $batch_key AND media_id = $media_id", values)[0]
    original = None
    if media["duplicate_of"] is not None:
        sql = "SELECT media_id, any_value(file) AS file FROM media WHERE media_id = $original GROUP BY media_id"
        original = next(iter(_rows(connection, sql, {"original": media["duplicate_of"]})), None)
    create_truth(connection)
    labels = rows_of(
        connection,
        "picture_labels",
        media_id=media["duplicate_of"] or picture.media_id,
        uri=picture.uri,
        file=picture.file,
    )
    return PictureStory(
        media=_without(media, _STAMP),
        n_frames=reader.n_frames(media),
        original=original,
        targets=_targets(connection, newest["batch_key"]),
        labels=labels,
        report=_report(newest_report(reader.found), newest, labels),
        run=_without(newest, ("names", "status")),
        other_runs=runs[1:],
    )


def _targets(connection: duckdb.DuckDBPyConnection, batch_key: str) -> list[TargetStory]:
    """Everything about each target of the newest run, in the order of the boxes."""
    by_target: dict[str, dict[str, list[Row]]] = {}
    for table in ("masks", "reclassifications", "errors"):
        sql = f"SELECT * FROM {table} WHERE batch_key = $batch_key ORDER BY ALL"
        for row in _rows(connection, sql, {"batch_key": batch_key}):
            rows = by_target.setdefault(row["target_id"], {}).setdefault(table, [])
            rows.append(_without(row, _STAMP | _TARGET))
    places = {str(strategy): place for place, strategy in enumerate(Strategy)}
    slices = _slices(connection, batch_key)
    targets = []
    sql = "SELECT * FROM predictions WHERE batch_key = $batch_key ORDER BY try_cast(detection_id AS BIGINT), target_id"
    for prediction in _rows(connection, sql, {"batch_key": batch_key}):
        of_target = by_target.get(prediction["target_id"], {})
        again = sorted(of_target.get("reclassifications", []), key=lambda row: places.get(row["strategy"], len(places)))
        targets.append(
            TargetStory(
                prediction=_without(prediction, _STAMP),
                masks=of_target.get("masks", []),
                views=[row for row in again if row["strategy"] != Strategy.FUSED],
                decision=next((row for row in again if row["strategy"] == Strategy.FUSED), None),
                error=next(iter(of_target.get("errors", [])), None),
                slices=slices.get(prediction["target_id"], []),
            )
        )
    return targets


def _slices(connection: duckdb.DuckDBPyConnection, batch_key: str) -> dict[str, list[Row]]:
    """target_id -> the slices that count it; they count labelled rows of the newest runs only."""
    sql = "SELECT * FROM errors WHERE batch_key = $batch_key AND is_labelled AND is_current"
    errors = connection.sql(sql, params={"batch_key": batch_key}).to_arrow_table()
    found: dict[str, list[Row]] = {}
    for target_id, values in zip(errors["target_id"].to_pylist(), slice_keys(errors), strict=True):
        keys = [f"{key}={value}" for key, value in values.items()]
        rows = rows_of(connection, "picture_slices", keys=keys)
        found[target_id] = [row | {"slice": {entry["key"]: entry["value"] for entry in row["slice"]}} for row in rows]
    return found


def _report(file: str | None, run: Row, labels: Sequence[Row]) -> Row | None:
    if file is None:
        return None
    made_at = report_time(file)
    later = [run["finished_at"], *(label["imported_at"] for label in labels)]
    return {
        "report_id": file_key(file),
        "made_at": made_at,
        "is_older": any(time is not None and time > made_at for time in later),
    }


def _without(row: Row, names: Collection[str]) -> Row:
    return {name: value for name, value in row.items() if name not in names}


def _rows(connection: duckdb.DuckDBPyConnection, sql: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    answer = connection.execute(sql, dict(values))
    columns = [column[0] for column in answer.description or ()]
    return [dict(zip(columns, row, strict=True)) for row in answer.fetchall()]

"""Rows of the audit tables without what was forgotten."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from scd_core.tables.tombstones import Tombstones

__all__ = ["Gone", "is_label_of", "scrub_batch", "scrub_derived", "scrub_labels", "scrub_runs"]

_MOST_NAMES = 10_000
"""Names that texts are searched for one by one; with more, examples are left out altogether."""


@dataclass
class Gone:
    """What of an OUT is to go."""

    stones: Tombstones
    batches: dict[str, frozenset[str]] = field(default_factory=dict)
    """Batch -> media_id of the pictures that leave it, with copies whose rows rest on them."""
    copies: set[str] = field(default_factory=set)
    """Of these the copies, which were not to be forgotten."""
    copy_files: dict[str, str] = field(default_factory=dict)
    """File of a copy -> its own media_id, which its labels get: they were joined to the picture that is gone."""
    labelled: dict[str, set[str]] = field(default_factory=dict)
    """media_id of a label whose picture stays -> paths and addresses of that picture."""
    names: set[str] = field(default_factory=set)
    """File names of the pictures, without folders."""
    places: set[tuple[str, str]] = field(default_factory=set)
    """(``camera_id`` or ``deployment_id``, value) of which no picture is left."""

    def add_name(self, file: str) -> None:
        """Take the name of a picture that is to go."""
        if file:
            self.names.add(file.replace("\\", "/").rsplit("/", 1)[-1])

    def is_medium(self, media_id: str) -> bool:
        """Whether rows of a picture are to go."""
        return media_id in self.copies or self.stones.has_medium(media_id)

    def is_mentioned(self, text: str) -> bool:
        """Whether a text has the name of a picture in it."""
        return len(self.names) > _MOST_NAMES or any(name in text for name in self.names)


def scrub_batch(rows: pa.Table, lost: Collection[str]) -> pa.Table:
    """Rows of a batch's table without those of some pictures."""
    values = pa.array(sorted(lost), pa.string())
    return rows.filter(pc.invert(pc.is_in(rows.column("media_id"), values)))


def scrub_runs(rows: pa.Table, gone: Gone, counts: Mapping[str, int | dict[str, int]] | None = None) -> pa.Table:
    """Rows of `runs` without examples that have a forgotten name in them; `counts` are those of the rows that are left."""
    rows = _replaced(rows, "inputs", lambda text: _scrub_inputs(text, gone))
    for name, count in (counts or {}).items():
        place = rows.schema.get_field_index(name)
        field = rows.schema.field(place)
        rows = rows.set_column(place, field, pa.array([count] * len(rows), field.type))
    return rows


def scrub_labels(rows: pa.Table, gone: Gone) -> pa.Table:
    """Rows of `labels` without labels of forgotten pictures, joined or waiting; what became of the file stays on a row."""
    columns = (rows.column(name).to_pylist() for name in ("media_id", "file", "undoes_import_id"))
    stays = [
        undoes is not None or not is_label_of(media_id, file, gone)
        for media_id, file, undoes in zip(*columns, strict=True)
    ]
    told = next((text for text in rows.column("import_counts").to_pylist() if text is not None), None)
    left = rows.filter(pa.array(stays, pa.bool_()))
    columns = (left.column(name).to_pylist() for name in ("file", "media_id"))
    media = [gone.copy_files.get(file, media_id) for file, media_id in zip(*columns, strict=True)]
    if media != left.column("media_id").to_pylist():
        place = left.schema.get_field_index("media_id")
        left = left.set_column(place, left.schema.field(place), pa.array(media, pa.string()))
    if told is not None and len(left):
        place = left.schema.get_field_index("import_counts")
        counts = [_scrub_inputs(told, gone), *[None] * len(left)][: len(left)]
        if left.column("import_counts").to_pylist() != counts:
            left = left.set_column(place, left.schema.field(place), pa.array(counts, pa.string()))
    return left


def scrub_derived(rows: pa.Table, gone: Gone) -> pa.Table:
    """Rows of a report's table without those of forgotten pictures, of slices of places that are gone, and without examples."""
    names = rows.schema.names
    for column in ("media_id", "target_id"):
        if column in names:
            media = [None if one is None else one.split(":")[0] for one in rows.column(column).to_pylist()]
            known = {one: gone.is_medium(one) for one in set(media) if one is not None}
            rows = rows.filter(pa.array([one is None or not known[one] for one in media], pa.bool_()))
    if "slice" in names:
        keys = rows.column("slice").to_pylist()
        rows = rows.filter(pa.array([gone.places.isdisjoint(one or ()) for one in keys], pa.bool_()))
    for column in rows.schema:
        if pa.types.is_list(column.type) and column.name.endswith(("media_ids", "target_ids", "members")):
            found = rows.column(column.name).to_pylist()
            left = [one and [item for item in one if not gone.is_medium(item.split(":")[0])] for one in found]
            if left != found:
                place = rows.schema.get_field_index(column.name)
                rows = rows.set_column(place, column, pa.array(left, column.type))
    for name in ("cause_evidence", "sentence", "what_to_do"):
        if name in names:
            rows = _replaced(rows, name, lambda text: None if gone.is_mentioned(text) else text)
    return rows


def is_label_of(media_id: str | None, file: str, gone: Gone) -> bool:
    """Whether a label is of a forgotten picture, by what it was joined to or by the file that it names.

    A label of a copy of the same bytes stays: the copy was not to be forgotten, and the next run audits it. So does one of a
    picture that stays, though a forgotten one of another folder or SOURCE has its name.
    """
    if file in gone.copy_files:
        return False
    if media_id is not None and gone.is_medium(media_id):
        return True
    if media_id in gone.labelled:
        return gone.stones.has_other_name(file, gone.labelled[media_id])
    return gone.stones.has_name(file, in_doubt=media_id is None)


def _scrub_inputs(text: str, gone: Gone) -> str:
    """Counts of given files without the examples and notes that have a forgotten name in them."""
    counts: list[dict[str, Any]] = json.loads(text)
    for one in counts:
        for name in ("examples", "notes"):
            one[name] = [line for line in one.get(name, ()) if not gone.is_mentioned(line)]
    return json.dumps(counts)


def _replaced(rows: pa.Table, column: str, change: Callable[[str], str | None]) -> pa.Table:
    """Rows with a column's texts changed; the same table where none is."""
    found = rows.column(column).to_pylist()
    known = {text: change(text) for text in set(found) if text is not None}
    left = [text if text is None else known[text] for text in found]
    if left == found:
        return rows
    place = rows.schema.get_field_index(column)
    return rows.set_column(place, rows.schema.field(place), pa.array(left, pa.string()))

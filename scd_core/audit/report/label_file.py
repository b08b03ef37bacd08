"""The list of what to label next as a CSV file to write names into, inside the page."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Sequence

import duckdb

from scd_core.audit.report.queries import Row, first_row, query
from scd_core.inputs.csv import safe_cell, safe_path

__all__ = ["label_file"]

_NAMES_TO_FILL_IN = ("individual_id", "labelled_by")
_COLUMNS = (
    "place", "file", "camera_id", "captured_at", "predicted_id", "probability", *_NAMES_TO_FILL_IN, "detection_id", "queue",
    "queue_probability",
)  # fmt: skip


def label_file(connection: duckdb.DuckDBPyConnection, rows: Sequence[Row]) -> str:
    """The file's address, which holds all of it; "" for no rows.

    `trapaudit labels import` reads the file back with what it was drawn from and with which probability. It is no file beside
    the page, because the next report would write over what a person has filled in.

    Args:
        connection: database with the audit's tables.
        rows: rows of :func:`scd_core.audit.queue.draw.draw_queue`.
    """
    if not rows:
        return ""
    files = [row["file"] for row in rows]
    # A path is of one object within a SOURCE.
    has_one_source = first_row(connection, "sources")["n_sources"] == 1
    doubled = set() if has_one_source else {row["file"] for row in query(connection, "doubled_files", files=files)}
    sink = io.StringIO()
    writer = csv.writer(sink)
    writer.writerow(_COLUMNS)
    for row in rows:
        name = row["uri"] if row["file"] in doubled or not row["file"] else row["file"]
        values = dict.fromkeys(_NAMES_TO_FILL_IN, "") | {"file": safe_path(name)}
        writer.writerow([values.get(column, _plain(row.get(column))) for column in _COLUMNS])
    content = b"\xef\xbb\xbf" + sink.getvalue().encode("utf-8", "replace")  # the mark makes spreadsheets read UTF-8
    return "data:text/csv;base64," + base64.b64encode(content).decode("ascii")


def _plain(value: object) -> object:
    """A value that is shown only, and is no formula."""
    return "" if value is None else str(safe_cell(value))

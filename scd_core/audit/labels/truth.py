"""Joining human labels to media and to what was classified: which label counts for which prediction."""

from __future__ import annotations

import duckdb

from scd_core.audit.sql import load_sql

__all__ = ["create_label_media", "create_truth"]


def create_label_media(connection: duckdb.DuckDBPyConnection, labels: str) -> None:
    """Make the temporary table ``label_media``: file, media_id of its newest version, number of objects that it fits.

    Args:
        connection: database with the table ``media``; gets the temporary one.
        labels: name of a relation in it with the column ``file``, and a condition where only some of its rows count.
    """
    connection.execute(f"CREATE OR REPLACE TEMP TABLE labels_open AS SELECT file FROM {labels}")
    connection.execute(load_sql("scd_core.audit.labels", "label_media"))


def create_truth(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the temporary tables ``label_matches`` and ``truth`` from the tables ``labels`` and ``media``.

    ``label_matches``: each label with its ``media_id``, ``is_newest`` and a ``status``: ``newest``, ``superseded`` by a
    later label of the same target, ``waiting`` for media not seen yet, ``ambiguous`` where its file fits several objects, or
    ``conflicting`` where the newest labels of one moment differ (then none is believed). ``truth``: the newest label of
    each (media_id, detection_id), ``true_id`` null where they conflict. Later means labelled later, then imported later.

    Args:
        connection: database with the tables; gets the temporary ones.
    """
    create_label_media(connection, "labels WHERE media_id IS NULL AND undoes_import_id IS NULL")
    connection.execute(load_sql("scd_core.audit.labels", "label_boxes"))
    connection.execute(load_sql("scd_core.audit.labels", "label_matches"))
    connection.execute(load_sql("scd_core.audit.labels", "truth"))

"""Joining human labels to media and to what was classified: which label counts for which prediction."""

from __future__ import annotations

import duckdb
import pyarrow as pa

from scd_core.audit.labels.lookups import MEDIA, TARGETS, Lookups
from scd_core.audit.sql import load_sql
from scd_core.audit.state.kept import KeptRows
from scd_core.inputs.joining import MediaIndex

__all__ = ["create_label_media", "create_truth", "need_label_targets"]

_LABEL_MEDIA = pa.schema([("file", pa.string()), ("media_id", pa.string()), ("n_objects", pa.int64())])


def create_label_media(connection: duckdb.DuckDBPyConnection, labels: str) -> None:
    """Make the temporary table ``label_media``: file, media_id of its newest version, number of objects that it fits.

    A file means the medium that :class:`scd_core.inputs.joining.MediaIndex` finds for it; files that fit none are left out.

    Args:
        connection: database with the table ``media``; gets the temporary one.
        labels: name of a relation in it with the column ``file``, and a condition where only some of its rows count.
    """
    _create_label_media(connection, labels, Lookups(connection))


def _create_label_media(connection: duckdb.DuckDBPyConnection, labels: str, lookups: Lookups) -> None:
    connection.execute(f"CREATE OR REPLACE TEMP TABLE labels_open AS SELECT DISTINCT file FROM {labels}")
    lookups.find(MEDIA, "SELECT file AS wanted FROM labels_open WHERE file IS NOT NULL")
    connection.execute(_sql("label_media"))
    media = connection.execute(_sql("label_candidates")).fetchall()
    if not media:
        return
    index = MediaIndex((uri, file) for uri, file, _ in media)
    media_ids = {uri: media_id for uri, _, media_id in media}
    rows = []
    for (file,) in connection.execute(
        "SELECT file FROM labels_open ANTI JOIN label_media USING (file) ORDER BY file"
    ).fetchall():
        if found := index.find(file):
            rows.append({"file": file, "media_id": media_ids[found[0]], "n_objects": len(found)})
    connection.register("label_media_rows", pa.Table.from_pylist(rows, schema=_LABEL_MEDIA))
    connection.execute("INSERT INTO label_media FROM label_media_rows")
    connection.unregister("label_media_rows")


def create_truth(connection: duckdb.DuckDBPyConnection, kept: KeptRows | None = None) -> None:
    """Make the temporary tables ``label_matches``, ``label_targets`` and ``truth`` from the tables ``labels``, ``media`` and
    ``predictions``.

    ``label_matches``: each label with its ``media_id``, its ``detection_id`` in the newest run over the medium, ``is_newest``
    and a ``status`` (:class:`scd_core.label_names.LabelStatus`). A label is of the box that agrees with its own by at least half
    (intersection over union), else of the one that it names, else of the only one; ``names_no_box`` where a picture has
    several and it is of none. Later means labelled later, then imported later. Labels of one moment that differ conflict,
    and none is believed; several names of one import of Camtrap DP, or for a picture with several boxes, are several
    animals. A label ``blank`` is of the picture, and supersedes what was said before it of animals there.

    ``label_targets``: the predictions over media with labels, of all runs; the one look at all predictions.

    ``truth``: the newest label of each (media_id, detection_id), and whether it was labelled by lot; ``true_id`` is null
    where they conflict, and ``blank`` where there is no animal.

    Args:
        connection: database with the tables; gets the temporary ones.
        kept: what earlier reports found of labels; the tables are the same without.
    """
    _create_label_targets(connection, kept)
    for name in ("label_boxes", "label_matches", "truth"):
        connection.execute(_sql(name))


def need_label_targets(connection: duckdb.DuckDBPyConnection) -> None:
    """Make ``label_targets`` of :func:`create_truth` where it is not there.

    Args:
        connection: database with the tables; gets the temporary one.
    """
    found = connection.execute("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'label_targets'").fetchall()
    if not found[0][0]:
        _create_label_targets(connection)


def _create_label_targets(connection: duckdb.DuckDBPyConnection, kept: KeptRows | None = None) -> None:
    lookups = Lookups(connection, kept)
    _create_label_media(connection, "labels WHERE media_id IS NULL AND undoes_import_id IS NULL", lookups)
    lookups.find(TARGETS, _sql("placed"))
    lookups.save()


def _sql(name: str) -> str:
    return load_sql("scd_core.audit.labels", name)

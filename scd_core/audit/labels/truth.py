"""Joining human labels to media and to what was classified: which label counts for which prediction."""

from __future__ import annotations

import duckdb

__all__ = ["LABEL_MEDIA_SQL", "create_truth"]

LABEL_MEDIA_SQL = """
    -- A duplicate's label belongs to the first object with the same content.
    WITH wanted AS (SELECT DISTINCT file FROM labels_open),
    objects AS (
        SELECT media_id, uri, file, last_modified_at, coalesce(duplicate_of, media_id) AS original FROM media
    ),
    exact AS (
        SELECT wanted.file, uri, original, last_modified_at FROM objects JOIN wanted ON objects.uri = wanted.file
        UNION SELECT wanted.file, uri, original, last_modified_at FROM objects JOIN wanted ON objects.file = wanted.file
    ),
    -- A bare name, or the end of a path, counts where it fits one object only.
    ending AS (
        SELECT wanted.file, uri, original, last_modified_at
        FROM objects
        JOIN (SELECT file FROM wanted ANTI JOIN exact USING (file)) wanted
            ON parse_filename(objects.uri) = parse_filename(wanted.file)
        WHERE ends_with(uri, '/' || ltrim(regexp_replace(wanted.file, '^[a-z0-9]+://', ''), '/'))
    )
    SELECT file, arg_max(original, (last_modified_at, original)) AS media_id, count(DISTINCT uri) AS n_objects
    FROM (SELECT * FROM exact UNION ALL SELECT * FROM ending) GROUP BY file
"""
"""Files of the table ``labels_open`` -> media_id of the newest version, and the number of objects the name fits."""


def create_truth(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the temporary tables ``label_matches`` and ``truth`` from the tables ``labels`` and ``media``.

    ``label_matches``: each label with its ``media_id``, ``is_newest`` and a ``status``: ``newest``, ``superseded`` by a
    later label of the same target, ``waiting`` for media not seen yet, ``ambiguous`` where its file fits several objects, or
    ``conflicting`` where the newest labels of one moment differ (then none is believed). ``truth``: the newest label of
    each (media_id, detection_id), ``true_id`` null where they conflict. Later means labelled later, then imported later.

    Args:
        connection: database with the tables; gets the temporary ones.
    """
    connection.execute("CREATE OR REPLACE TEMP TABLE labels_open AS SELECT file FROM labels WHERE media_id IS NULL")
    connection.execute(f"CREATE OR REPLACE TEMP TABLE label_media AS {LABEL_MEDIA_SQL}")
    connection.execute("""
        CREATE OR REPLACE TEMP TABLE label_matches AS
        WITH placed AS (
            SELECT labels.* EXCLUDE (media_id),
                coalesce(labels.media_id, CASE WHEN n_objects = 1 THEN label_media.media_id END) AS media_id,
                coalesce(n_objects, 0) AS n_objects,
                coalesce(labels.media_id, CASE WHEN n_objects = 1 THEN label_media.media_id END, labels.file) AS target
            FROM labels LEFT JOIN label_media ON labels.media_id IS NULL AND labels.file = label_media.file
        ),
        ranked AS (
            SELECT *, rank() OVER (
                PARTITION BY target, detection_id ORDER BY labelled_at DESC, imported_at DESC
            ) = 1 AS is_newest
            FROM placed
        ),
        conflicts AS (
            SELECT target, coalesce(detection_id, '') AS detection FROM ranked WHERE is_newest
            GROUP BY ALL HAVING count(DISTINCT individual_id) > 1
        )
        SELECT ranked.* EXCLUDE (target, n_objects),
            CASE WHEN media_id IS NULL AND n_objects > 1 THEN 'ambiguous' WHEN media_id IS NULL THEN 'waiting'
                WHEN NOT is_newest THEN 'superseded' WHEN conflicts.target IS NOT NULL THEN 'conflicting'
                ELSE 'newest' END AS status
        FROM ranked LEFT JOIN conflicts
            ON ranked.target = conflicts.target AND coalesce(ranked.detection_id, '') = conflicts.detection
    """)
    connection.execute("""
        CREATE OR REPLACE TEMP TABLE truth AS
        SELECT media_id, detection_id, any_value(flank) AS flank, any_value(labelled_by) AS labelled_by,
            CASE WHEN bool_or(status = 'conflicting') THEN NULL ELSE any_value(individual_id) END AS true_id
        FROM label_matches WHERE status IN ('newest', 'conflicting') GROUP BY media_id, detection_id
    """)

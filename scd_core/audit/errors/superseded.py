"""Which pictures another run counts for: found among all of them once, and later among those that new batches hold."""

from __future__ import annotations

import hashlib

import duckdb

from scd_core.audit.labels.lookups import holding_batches
from scd_core.audit.query.batches import batches_shown, knows_files
from scd_core.audit.sql import load_sql
from scd_core.audit.state.kept import KeptRows

__all__ = ["create_superseded"]

_STAGE = "superseded"
_ALL = "CREATE OR REPLACE TEMP VIEW seen_media AS SELECT batch_key, media_id, status FROM media"
_AGAIN = "CREATE OR REPLACE TEMP TABLE again AS SELECT DISTINCT media_id FROM media"
_OF_AGAIN = (
    "CREATE OR REPLACE TEMP TABLE seen_again AS SELECT batch_key, media_id, status FROM media SEMI JOIN again USING (media_id)",
    "CREATE OR REPLACE TEMP VIEW seen_media AS FROM seen_again",
)
_TOGETHER = (
    "DELETE FROM kept WHERE batch_key IN (SELECT batch_key FROM all_superseded SEMI JOIN again USING (media_id))",
    "DELETE FROM kept WHERE batch_key IN (SELECT batch_key FROM superseded)",
    "INSERT INTO superseded FROM all_superseded ANTI JOIN again USING (media_id)",
)
"""Batches whose rows are others now are kept anew."""


def create_superseded(connection: duckdb.DuckDBPyConnection, kept: KeptRows | None = None) -> None:
    """Make the temporary table ``superseded`` (batch_key, media_id), which its query describes.

    Args:
        connection: database with the tables ``media`` and ``runs``, with `kept` the table `names` as well.
        kept: rows of earlier reports: only media of batches that came since are looked for; None looks at all.
    """
    kept = kept if knows_files(connection) else None
    query = load_sql("scd_core.audit.errors", "superseded")
    new, is_anew = (None, True) if kept is None else _new_batches(connection, kept, query)
    if is_anew or new is None:
        connection.execute(_ALL)
        connection.execute(query)
    elif new:
        with batches_shown(connection, new):
            connection.execute(_AGAIN)
        # By the table `names`, only the batches that may hold one of them.
        with batches_shown(connection, holding_batches(connection, "media", "SELECT media_id FROM again")):
            connection.execute(_OF_AGAIN[0])
        for step in (*_OF_AGAIN[1:], query, *_TOGETHER):
            connection.execute(step)
    else:
        connection.execute("CREATE OR REPLACE TEMP TABLE superseded AS FROM all_superseded")
    if kept is not None and (is_anew or new):
        connection.execute("CREATE OR REPLACE TEMP TABLE all_superseded AS FROM superseded")
        kept.save(connection, _STAGE, (_STAGE,))


def _new_batches(connection: duckdb.DuckDBPyConnection, kept: KeptRows, query: str) -> tuple[list[str], bool]:
    """Batches of which nothing is kept, and whether all are to be looked at."""
    version = hashlib.sha256(f"{query}{duckdb.__version__}".encode()).hexdigest()
    connection.execute(load_sql("scd_core.audit.errors", "digests_alone"), {"version": version})
    connection.execute("DROP TABLE IF EXISTS all_superseded")
    n_lost = kept.load(connection, _STAGE, (_STAGE,))
    new = connection.execute("SELECT batch_key FROM digests ANTI JOIN kept USING (batch_key)").fetchall()
    ((n_kept,),) = connection.execute("SELECT count(*) FROM kept").fetchall()
    is_anew = n_lost > 0 or n_kept == 0
    if is_anew:
        connection.execute("DELETE FROM kept")
    return [key for (key,) in new], is_anew

"""What a report takes from each batch alone, a few batches at a time, so that memory does not grow with the audit."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb

from scd_core.audit.errors.suspicion import create_suspected
from scd_core.audit.query.batches import show_all, show_batches
from scd_core.audit.sql import load_sql
from scd_core.config import AuditConfig

__all__ = ["PARTS", "create_parts"]

PARTS = ("cells", "label_counts", "targets", "model_names")
"""Tables that hold what a report takes from the batches."""
_SETTLED = ("superseded", "labelled")
"""Tables over all batches that the batches' own parts are made from."""
_STEPS = ("cells", "chosen", "event_sizes", "label_counts", "chosen_media", "evidence", "targets", "model_names")
_PICTURES = 500_000
"""Pictures that are looked at together."""


def create_parts(connection: duckdb.DuckDBPyConnection, config: AuditConfig) -> None:
    """Make the tables :data:`PARTS`, each row from one batch.

    Args:
        connection: database of :func:`scd_core.audit.query.connection.open_tables` with the tables `superseded`, `labelled`,
            `travellers` and `quality_limits`.
        config: settings.
    """
    for name in _SETTLED:
        connection.execute(f"CREATE OR REPLACE TEMP TABLE all_{name} AS FROM {name} ORDER BY batch_key")
    for name in PARTS:
        connection.execute(f"DROP TABLE IF EXISTS all_{name}")
    for batch_keys in _groups(connection):
        _show(connection, batch_keys)
        _derive(connection, config)
        for name in PARTS:
            connection.execute(f"CREATE TEMP TABLE IF NOT EXISTS all_{name} AS FROM {name} LIMIT 0")
            connection.execute(f"INSERT INTO all_{name} FROM {name}")
    for name in (*PARTS, *_SETTLED):
        connection.execute(f"DROP TABLE {name}")
        connection.execute(f"ALTER TABLE all_{name} RENAME TO {name}")
    show_all(connection)


def _derive(connection: duckdb.DuckDBPyConnection, config: AuditConfig) -> None:
    create_suspected(connection, config)
    connection.execute(_sql("media_quality"))
    connection.execute(_sql("visits"), {"visit_minutes": config.slices.visit_minutes})
    for name in _STEPS:
        connection.execute(_sql(name))


def _groups(connection: duckdb.DuckDBPyConnection) -> Iterator[list[str] | None]:
    """Batches to look at together; None is all, where a database does not know in which files they are."""
    is_known = connection.execute(
        "SELECT count(*) > 0 FROM duckdb_tables() WHERE table_name = 'batch_files'"
    ).fetchall()
    if not is_known[0][0]:
        yield None
        return
    group: list[str] = []
    n_pictures = 0
    sizes = connection.execute(_sql("batch_sizes")).fetchall()
    for batch_key, size in sizes:
        if group and n_pictures + size > _PICTURES:
            yield group
            group, n_pictures = [], 0
        group.append(batch_key)
        n_pictures += size
    if group or not sizes:
        yield group


def _show(connection: duckdb.DuckDBPyConnection, batch_keys: list[str] | None) -> None:
    if batch_keys is not None:
        show_batches(connection, batch_keys)
    for name in _SETTLED:
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE {name} AS FROM all_{name} "
            "WHERE $keys IS NULL OR batch_key IN (SELECT unnest($keys::VARCHAR[]))",
            {"keys": batch_keys},
        )


def _sql(name: str) -> str:
    return load_sql("scd_core.audit.errors", name)

"""The rows of an audit in a form in which two audits can be compared."""

from __future__ import annotations

from collections import Counter
from typing import Any

from scd_core.tables.store import AuditStore

BATCH_TABLES = ("media", "predictions", "masks", "reclassifications", "runs", "embeddings")
_RUN_ONLY = {"run_id", "started_at", "finished_at", "seconds", "versions", "source", "config"}


def rows_of(out: str) -> dict[str, list[str]]:
    """Every committed row of every batch table, without what tells one run from another, sorted."""
    store = AuditStore(out)
    return {table: sorted(_plain(row) for row in store.read(table).to_pylist()) for table in BATCH_TABLES}


def _plain(row: dict[str, Any]) -> str:
    return repr(sorted((name, value) for name, value in row.items() if name not in _RUN_ONLY))


def check_whole(out: str, expected: dict[str, list[str]]) -> None:
    """Equal rows, none lost, none double, and every row of a batch from one run."""
    found = rows_of(out)
    for table in BATCH_TABLES:
        assert len(found[table]) == len(expected[table]), (
            f"{table}: {len(found[table])} rows, not {len(expected[table])}"
        )
        assert found[table] == expected[table], f"{table}: other rows"
    store = AuditStore(out)
    ids = Counter(store.read("media")["media_id"].to_pylist())
    assert max(ids.values()) == 1, "a medium is there twice"
    for table in BATCH_TABLES:
        rows = store.read(table).select(["batch_key", "run_id"]).to_pylist()
        runs: dict[str, set[str]] = {}
        for row in rows:
            runs.setdefault(row["batch_key"], set()).add(row["run_id"])
        assert all(len(found) == 1 for found in runs.values()), f"{table}: rows of two runs in one batch"

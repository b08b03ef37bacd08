"""A finished batch: accounted for, stamped, written, committed."""

from __future__ import annotations

import json
import platform
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from scd_core.errors import RunError
from scd_core.tables.batches import Batch
from scd_core.tables.schema import table_from_rows, table_schema
from scd_core.tables.store import AuditStore

__all__ = ["account_for", "adopt_commit", "batch_counts", "commit_batch", "software_versions"]

BATCH_TABLES = ("media", "predictions", "masks", "reclassifications")
_OK = ("ok", "duplicate")


def commit_batch(out: str, tables: Mapping[str, pa.Table], batch: Batch, run: Mapping[str, Any]) -> dict[str, Any]:
    """Write the tables of a batch and its commit object.

    The rows carry the run_id of the run that opened the batch, so that two runs of one batch, or a run that takes over
    from one that died, write the same rows.

    Args:
        out: OUT.
        tables: `media`, `predictions`, `masks`, `reclassifications` of the whole batch, without stamps.
        batch: the batch.
        run: columns of its row in `runs` that are known before the commit.

    Returns:
        The commit object's content; where another run had committed the batch before, its content, with ``is_ours`` False.

    Raises:
        RunError: an object of the batch is not in `media` exactly once, or rows refer to media that are not there.
    """
    account_for(batch, tables)
    store = AuditStore(out)
    run_id = store.open_batch(batch.batch_key, run["run_id"])
    stamp = {"run_id": run_id, "batch_key": batch.batch_key, "model_digest": run["model_digest"]}
    counts = batch_counts(tables)
    files = {}
    for table in BATCH_TABLES:
        files[table] = store.write_table(
            table, _stamped(table, tables[table], stamp), batch.batch_date, batch.batch_key
        )
    row = {**run, **stamp, **counts, "finished_at": datetime.now(UTC), "versions": json.dumps(software_versions())}
    files["runs"] = store.write_table("runs", table_from_rows("runs", [row]), batch.batch_date, batch.batch_key)
    content = {
        **stamp,
        "config_digest": run["config_digest"],
        "batch_date": batch.batch_date.isoformat(),
        "committed_at": datetime.now(UTC).isoformat(),
        "files": files,
        "counts": counts,
    }
    is_ours = store.commit(batch.batch_key, content)
    store.drop_work(batch.batch_key)
    return content | {"is_ours": True} if is_ours else adopt_commit(out, batch.batch_key) or content


def adopt_commit(out: str, batch_key: str) -> dict[str, Any] | None:
    """The commit of a batch that another run finished, with ``is_ours`` False; None where there is none.

    Raises:
        RunError: OUT could not be read.
    """
    content = AuditStore(out).commit_of(batch_key)
    return None if content is None else content | {"is_ours": False}


def account_for(batch: Batch, tables: Mapping[str, pa.Table]) -> None:
    """Check that every object of the batch is in `media` exactly once and every usable one has a prediction row.

    Raises:
        RunError: the sum does not come out.
    """
    listed = [item.media_id for item in batch.objects]
    media = tables["media"].column("media_id").to_pylist()
    if sorted(listed) != sorted(media):
        counts = Counter(media)
        lost = sum(1 for name in listed if not counts[name])
        doubled = sum(1 for name in counts if counts[name] > 1)
        raise RunError(
            f"batch {batch.batch_key}: {len(listed)} objects in, {len(media)} rows out ({lost} lost, {doubled} doubled)"
        )
    usable = tables["media"].filter(pc.equal(tables["media"].column("status"), "ok"))
    predicted = set(tables["predictions"].column("media_id").to_pylist())
    missing = [name for name in usable.column("media_id").to_pylist() if name not in predicted]
    if missing:
        raise RunError(
            f"batch {batch.batch_key}: {len(missing)} usable images have no prediction row, first {missing[0]}"
        )
    selected = tables["predictions"].filter(tables["predictions"].column("is_selected")).column("target_id").to_pylist()
    masked = tables["masks"].column("target_id").to_pylist()
    if sorted(selected) != sorted(masked):
        raise RunError(f"batch {batch.batch_key}: {len(selected)} predictions selected, {len(masked)} mask rows")


def batch_counts(tables: Mapping[str, pa.Table]) -> dict[str, int]:
    """The counters of a batch's row in `runs`."""
    status = Counter(tables["media"].column("status").to_pylist())
    usable = sum(status[name] for name in _OK)
    fused = tables["reclassifications"].filter(pc.equal(tables["reclassifications"].column("strategy"), "fused"))
    return {
        "n_media": len(tables["media"]),
        "n_ok": usable,
        "n_quarantined": len(tables["media"]) - usable,
        "n_predictions": _true(tables["predictions"], "prediction_status", "ok"),
        "n_flagged": sum(tables["predictions"].column("is_flagged").to_pylist()),
        "n_masks": _true(tables["masks"], "mask_status", "ok"),
        "n_failed": _true(tables["predictions"], "prediction_status", "failed")
        + _true(tables["masks"], "mask_status", "failed"),
        "n_flips": sum(fused.column("is_flip").to_pylist()),
    }


def software_versions() -> dict[str, str]:
    """Versions of what the rows depend on."""
    found = {"python": platform.python_version()}
    for name in ("trapaudit", "torch", "torchvision", "pillow", "pyarrow", "prefect"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _true(table: pa.Table, column: str, value: str) -> int:
    return int(pc.sum(pc.equal(table.column(column), value)).as_py() or 0)


def _stamped(table: str, rows: pa.Table, stamp: Mapping[str, str]) -> pa.Table:
    schema = table_schema(table)
    for name, value in stamp.items():
        place = schema.get_field_index(name)
        rows = rows.set_column(place, schema.field(place), pa.array([value] * len(rows), pa.string()))
    return rows.cast(schema)

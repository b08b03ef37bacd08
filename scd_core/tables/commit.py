"""A finished batch: accounted for, stamped, written, committed."""

from __future__ import annotations

import json
import platform
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, date, datetime
from importlib import metadata
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from scd_core.errors import RunError
from scd_core.names import CandidateChange, MediaStatus
from scd_core.tables.batches import Batch
from scd_core.tables.counts import batch_counts, mask_counts, plain_masks
from scd_core.tables.forgetting import forget_again
from scd_core.tables.rows import RunRow
from scd_core.tables.schema import (
    SCHEMA_DIGEST,
    SCHEMA_VERSION,
    TABLES,
    check_values,
    conform,
    empty_table,
    is_required,
    table_from_rows,
    table_schema,
)
from scd_core.tables.shards import drop_work
from scd_core.tables.store import AuditStore

__all__ = ["adopt_commit", "commit_batch", "write_batch"]

_TABLES = ("media", "predictions", "masks", "reclassifications", "embeddings", "candidates")
_STAMP = ("run_id", "batch_key", "model_digest")


def write_batch(
    out: str, tables: Mapping[str, pa.Table], batch_date: date, batch_key: str, run: RunRow
) -> dict[str, Any]:
    """Check, write and commit a finished batch.

    The rows carry the run_id of the run that opened the batch, so that two runs of one batch, or a run that takes over
    from one that died, write the same rows.

    Args:
        out: OUT, an fsspec URL or path.
        tables: ``media``, ``predictions``, ``masks``, ``reclassifications``, ``embeddings`` and ``candidates`` of the whole
            batch, with columns of the schema; a table that is left out has no rows, a column that is left out is null. The
            columns ``run_id``, ``batch_key`` and ``model_digest`` are set here.
        batch_date: date of the newest object (UTC).
        batch_key: name of the batch: letters, digits and ``_ . = -``.
        run: columns of its row in ``runs`` that are known before the commit; at least ``run_id``, ``model_digest`` and
            ``config_digest``.

    Returns:
        The commit's content; ``is_ours`` is False where another run had committed the batch, whose content it then is.

    Raises:
        ValueError: a table has a column or a value that the schema does not allow.
        RunError: rows are double, or lack rows of another table that belong to them; or OUT could not be written.
    """
    if unknown := tables.keys() - set(_TABLES):
        raise ValueError(f"table {min(unknown)}: not one of a batch; expected {', '.join(_TABLES)}")
    whole = {table: _checked(table, tables.get(table, empty_table(table))) for table in _TABLES}
    _check_sums(batch_key, whole)
    counts = batch_counts(whole)
    store = AuditStore(out)
    run_id = store.open_batch(batch_key, run["run_id"])
    stamp = dict(zip(_STAMP, (run_id, batch_key, run["model_digest"])))
    files = {
        table: store.write_table(table, _stamped(rows, stamp), batch_date, batch_key) for table, rows in whole.items()
    }
    row = {**run, **stamp, **counts, **mask_counts(whole)}
    row |= {"finished_at": datetime.now(UTC), "versions": json.dumps(_software_versions())}
    files["runs"] = store.write_table("runs", table_from_rows("runs", [row]), batch_date, batch_key)
    content = {
        **stamp,
        "schema_version": SCHEMA_VERSION,
        "schema_digest": SCHEMA_DIGEST,
        "config_digest": run["config_digest"],
        "batch_date": batch_date.isoformat(),
        "committed_at": datetime.now(UTC).isoformat(),
        "files": files,
        **({"is_shadow": True} if run.get("is_shadow") else {}),
        "counts": counts,
        "seconds": {stage: round(seconds, 3) for stage, seconds in dict(run.get("seconds") or {}).items()},
    }
    is_ours = store.commit(batch_key, content)
    drop_work(store, batch_key)
    forget_again(store, batch_key, whole["media"])
    return content | {"is_ours": True} if is_ours else adopt_commit(out, batch_key) or content


def commit_batch(out: str, tables: Mapping[str, pa.Table], batch: Batch, run: RunRow) -> dict[str, Any]:
    """Commit a planned batch; args, result and errors as for :func:`write_batch`.

    Raises:
        RunError: an object of the batch is not in ``media`` exactly once.
    """
    _account_for(batch, tables["media"])
    return write_batch(out, tables, batch.batch_date, batch.batch_key, run)


def adopt_commit(out: str, batch_key: str) -> dict[str, Any] | None:
    """The commit of a batch that another run finished, with ``is_ours`` False; None where there is none.

    Raises:
        RunError: OUT could not be read.
    """
    content = AuditStore(out).commit_of(batch_key)
    return None if content is None else content | {"is_ours": False}


def _account_for(batch: Batch, media: pa.Table) -> None:
    """Check that every object of the batch is in `media` exactly once."""
    listed = [item.media_id for item in batch.objects]
    rows = media.column("media_id").to_pylist()
    if sorted(listed) != sorted(rows):
        counts = Counter(rows)
        lost = sum(1 for name in listed if not counts[name])
        doubled = sum(1 for name in counts if counts[name] > 1)
        raise RunError(
            f"batch {batch.batch_key}: {len(listed)} objects in, {len(rows)} rows out ({lost} lost, {doubled} doubled)"
        )


def _check_sums(batch_key: str, tables: Mapping[str, pa.Table]) -> None:
    """Check that no medium is double, every usable one has a prediction row, and every selected one a mask row."""
    media, predictions = tables["media"], tables["predictions"]
    known = Counter(media.column("media_id").to_pylist())
    if doubled := [name for name, times in known.items() if times > 1]:
        raise RunError(f"batch {batch_key}: {len(doubled)} media are there twice, first {doubled[0]}")
    usable = media.filter(pc.equal(media.column("status"), MediaStatus.OK)).column("media_id").to_pylist()
    predicted = set(predictions.column("media_id").to_pylist())
    if missing := [name for name in usable if name not in predicted]:
        raise RunError(f"batch {batch_key}: {len(missing)} usable images have no prediction row, first {missing[0]}")
    if foreign := predicted - known.keys():
        raise RunError(
            f"batch {batch_key}: predictions of {len(foreign)} media that are not in it, first {min(foreign)}"
        )
    targets = set(predictions.column("target_id").to_pylist())
    for table in ("embeddings", "candidates"):
        rows = tables[table]
        if table == "candidates":  # pictures of earlier batches leave a candidate, too
            rows = rows.filter(pc.not_equal(rows.column("change"), CandidateChange.SPLIT))
        if strange := set(rows.column("target_id").to_pylist()) - targets - {None}:
            raise RunError(
                f"batch {batch_key}: {table} of {len(strange)} targets without a prediction, first {min(strange)}"
            )
    selected = predictions.filter(predictions.column("is_selected")).column("target_id").to_pylist()
    masked = plain_masks(tables["masks"]).column("target_id").to_pylist()
    if sorted(selected) != sorted(masked):
        raise RunError(f"batch {batch_key}: {len(selected)} predictions selected, {len(masked)} mask rows")


def _software_versions() -> dict[str, str]:
    """Versions of what the rows depend on."""
    found = {"python": platform.python_version()}
    for name in ("trapaudit", "torch", "torchvision", "pillow", "pyarrow", "prefect"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _checked(table: str, rows: pa.Table) -> pa.Table:
    """Rows with all columns of the schema, in its order; values and nulls are what the schema allows."""
    if foreign := set(rows.column_names) - set(TABLES[table]):
        raise ValueError(f"table {table} has no column {min(foreign)}; see scd_core/tables/fields.py")
    rows = conform(rows, table_schema(table))
    check_values(table, rows)
    for name in TABLES[table]:
        if is_required(table, name) and name not in _STAMP and rows.column(name).null_count:
            raise ValueError(f"table {table}: column {name} must not be null")
    return rows


def _stamped(rows: pa.Table, stamp: Mapping[str, str]) -> pa.Table:
    for name, value in stamp.items():
        place = rows.schema.get_field_index(name)
        rows = rows.set_column(place, rows.schema.field(place), pa.array([value] * len(rows), pa.string()))
    return rows

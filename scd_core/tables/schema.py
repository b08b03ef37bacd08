"""The audit tables: their columns in order, their Arrow schemas, and rows made and checked by them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from scd_core.errors import InputError
from scd_core.tables.fields import FIELDS

__all__ = [
    "DERIVED",
    "PARTITION",
    "SCHEMA_DIGEST",
    "SCHEMA_VERSION",
    "TABLES",
    "check_schema_version",
    "check_values",
    "conform",
    "description",
    "empty_table",
    "is_required",
    "table_from_rows",
    "table_schema",
]

SCHEMA_VERSION = 3
"""Written into each file's Parquet metadata (key ``trapaudit.schema_version``)."""


def check_schema_version(version: int, out: str) -> None:
    """Refuse what a newer version of this software wrote, whose rows may mean something else.

    Args:
        version: of a commit.
        out: address of OUT, for the message.

    Raises:
        InputError: it is newer.
    """
    if version > SCHEMA_VERSION:
        raise InputError(
            f"OUT {out}: written with schema version {version}, this trapaudit reads up to {SCHEMA_VERSION}; "
            "upgrade it (pip install --upgrade trapaudit)"
        )


_STAMP = ["run_id", "batch_key", "model_digest"]
_TARGET = ["target_id", "media_id", "detection_id"]
_BOX = ["bbox_x_min", "bbox_y_min", "bbox_width", "bbox_height"]

TABLES: dict[str, list[str]] = {
    "media": [
        *_STAMP, "media_id", "uri", "file", "version_id", "etag", "size_bytes", "last_modified_at", "content_sha256",
        "format", "width", "height", "captured_at", "captured_at_source", "time_not_understood", "clock_doubt",
        "utc_offset_minutes", "site_id", "camera_id", "deployment_id", "latitude", "longitude", "event_id", "is_infrared",
        "brightness", "sharpness", "status", "failure_stage", "failure_reason", "duplicate_of",
    ],
    "predictions": [
        *_STAMP, *_TARGET, "content_number", *_BOX, "hidden_boxes", "detection_confidence", "prediction_status",
        "failure_reason", "predicted_id", "probability", "margin", "entropy", "topk", "gradient_outside", "gradient_region",
        "embedding", "candidate_id", "review_rank", "event_id", "event_predicted_id", "is_flagged", "flag_reasons",
        "is_control", "is_selected", "inclusion_probability", "box_margin",
        "gallery_digest", "individuals_available", "is_expected", "unweighted_id", "frame_logits",
    ],
    "masks": [
        *_STAMP, *_TARGET, "method", "mask_status", "failure_reason", "predicted_id", "contrast_id", "mask_png",
        "ssr_probability", "sdr_probability", "area", "border_mass", "mass_in_box", "background_reliance",
        "background_log_odds_drop", "overlay_reliance", "overlay_log_odds_drop", "iterations", "evaluations",
        "is_converged", "seed",
    ],
    "reclassifications": [
        *_STAMP, *_TARGET, "strategy", "strategy_status", "predicted_id", "probability", "is_flip", "crop_x_min",
        "crop_y_min", "crop_width", "crop_height", "reason", "second_evaluations",
    ],
    "labels": [
        "import_id", "label_id", "file", "media_id", "detection_id", "individual_id", "flank", "label_source", "labelled_by",
        "labelled_at", "imported_at", "state", *_BOX, "import_file", "undoes_import_id", "queue", "queue_probability",
        "import_counts", "review_queue", "shown", "answer_seconds",
    ],
    "errors": [
        "report_id", "batch_key", "model_digest", *_TARGET, "event_id", "camera_id", "deployment_id", "captured_at",
        "is_infrared", "true_id", "predicted_id", "probability", "final_id", "final_probability", "error_type",
        "is_labelled", "is_suspected", "suspicion_reasons", "cause", "cause_evidence", "is_masked", "suggested_id",
        "is_certified", "is_recovered", "is_broken", "is_current", "flank", "labelled_by", "quality",
        "background_reliance", "gradient_outside", "gradient_region", "inclusion_probability", "label_probability",
        "event_weight", "has_flag", "stratum", "visit_id", "known_at", "content_number",
        "relation",
    ],
    "error_slices": [
        "report_id", "slice_id", "slice", "family", "n_events", "n_images", "n_errors", "exposure", "n_effective",
        "error_rate", "is_lower_bound", "ci_low", "ci_high", "baseline_rate", "lift", "p_value", "q_value", "n_tests",
        "e_weight", "tested_within", "is_systematic", "error_type", "confused_with", "n_splits", "n_combinations", "cause",
        "background_reliance", "recovered_rate", "n_error_images", "n_masked_errors", "n_recovered_errors", "n_of_cause",
        "n_cause_seen", "n_of_type", "what_to_do", "first_seen", "last_seen", "onset", "onset_low", "onset_high", "e_value",
        "announced_at", "trend", "labels_needed", "folded_into", "sentence", "example_media_ids",
    ],
    "runs": [
        *_STAMP, "config_digest", "source", "started_at", "finished_at", "config", "model_input", "versions", "device",
        "individuals", "inputs", "n_media", "n_ok", "n_quarantined", "n_predictions", "n_flagged", "n_masks", "n_failed",
        "n_flips", "n_telling_masks", "seconds", "model_name", "n_not_available", "n_second_masks",
        "masks_by_reason", "telling_by_reason",
        "lineages",
        "is_shadow",
        "individuals_by_hash",
    ],
    "embeddings": [*_STAMP, *_TARGET, "embedding_space", "features"],
    "candidates": [
        *_STAMP, "candidate_id", "version", "change", "change_reason", "merged_into", *_TARGET, "embedding_space",
        "embedding", "resembles", "split_from", "n_moves",
    ],
}  # fmt: skip

SCHEMA_DIGEST = hashlib.sha256(json.dumps(TABLES).encode()).hexdigest()[:16]
"""Of the columns: a commit that has another one, or none, may lack some of these, whatever its version."""

_NULLABLE = {
    ("labels", "media_id"): "null while the label waits for its picture",
    ("candidates", "media_id"): "null where `change` is `merged`",
    ("candidates", "target_id"): "null where `change` is `merged`",
}
"""Table and column that may be null there, though never in another table -> when it is."""

DERIVED = ("errors", "error_slices")
"""Tables written by a report, not by a batch."""

PARTITION = {
    table: "report_date" if table in DERIVED else "import_date" if table == "labels" else "batch_date"
    for table in TABLES
}
"""Table -> the column by which its files are parted into folders (``batch_date=2026-03-01``)."""


def is_required(table: str, column: str) -> bool:
    """Whether a column of a table is never null.

    Raises:
        KeyError: there is no such column.
    """
    return FIELDS[column].is_required and (table, column) not in _NULLABLE


def description(table: str, column: str) -> str:
    """What a column of a table is, and when it is null where that is of this table alone."""
    text = FIELDS[column].description
    return f"{text}; {_NULLABLE[table, column]}" if (table, column) in _NULLABLE else text


def table_schema(table: str) -> pa.Schema:
    """Arrow schema of a table, each column with its description and unit as metadata.

    Raises:
        KeyError: there is no such table.
    """
    columns = []
    for name in TABLES[table]:
        field = FIELDS[name]
        metadata = {"description": description(table, name)} | ({"unit": field.unit} if field.unit else {})
        if field.values is not None:
            metadata["values"] = ", ".join(field.values)
        columns.append(pa.field(name, field.type, metadata=metadata))
    return pa.schema(columns, metadata={"trapaudit.schema_version": str(SCHEMA_VERSION), "trapaudit.table": table})


def empty_table(table: str) -> pa.Table:
    """The table with no rows."""
    return table_schema(table).empty_table()


def table_from_rows(table: str, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Rows as a table of the declared schema; a missing column is null.

    Raises:
        ValueError: a row has a column that the table does not have, or a value that its column does not allow.
    """
    columns = set(TABLES[table])
    for row in rows:
        if extra := row.keys() - columns:
            raise ValueError(f"table {table} has no column {sorted(extra)[0]}; see scd_core/tables/fields.py")
    made = pa.Table.from_pylist([dict(row) for row in rows], schema=table_schema(table))
    check_values(table, made)
    return made


def conform(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """The columns of a schema from rows that may be of an older one; a column that they lack is null."""
    columns = [
        rows[field.name].cast(field.type) if field.name in rows.schema.names else pa.nulls(len(rows), field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def check_values(table: str, rows: pa.Table) -> None:
    """Check that columns hold only the values that the schema allows.

    Raises:
        ValueError: a value is none of them.
    """
    for name in TABLES[table]:
        allowed = FIELDS[name].values
        if allowed is None or name not in rows.column_names:
            continue
        column = rows.column(name)
        items = pc.list_flatten(column) if pa.types.is_list(column.type) else column
        if wrong := set(pc.unique(items).to_pylist()) - {None, *allowed}:
            raise ValueError(f"table {table}, column {name}: {min(wrong)!r} is none of {', '.join(sorted(allowed))}")

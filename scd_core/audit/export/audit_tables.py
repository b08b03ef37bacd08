"""The audit's own tables as CSV resources of a data package, described from the schema they were declared with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from scd_core.tables.fields import FIELDS
from scd_core.tables.schema import TABLES

__all__ = ["write_audit_tables"]

_LOCAL = "%Y-%m-%dT%H:%M:%S.%f"
_UTC = "%Y-%m-%dT%H:%M:%S.%f%z"


def write_audit_tables(connection: duckdb.DuckDBPyConnection, folder: Path) -> list[dict[str, Any]]:
    """Write every table of the audit to ``audit/<table>.csv``, all runs included.

    Lists and maps are JSON, masks are base64 of their PNG, times in UTC end with Z.

    Args:
        connection: database with the audit's tables.
        folder: local folder of the package.

    Returns:
        The resources' descriptors (Tabular Data Resource), named ``audit-<table>``.
    """
    (folder / "audit").mkdir()
    resources = []
    for table, columns in TABLES.items():
        path = f"audit/{table}.csv"
        selected = ", ".join(f'{_csv_sql(name)} AS "{name}"' for name in columns)
        target = str(folder / path).replace("'", "''")
        connection.execute(f"COPY (SELECT {selected} FROM {table}) TO '{target}' (FORMAT csv, HEADER)")
        resources.append(
            {
                "name": f"audit-{table.replace('_', '-')}",
                "path": path,
                "profile": "tabular-data-resource",
                "format": "csv",
                "mediatype": "text/csv",
                "encoding": "utf-8",
                "description": f"Table {table} of the audit that this package was written from.",
                "schema": {"fields": [_descriptor(name) for name in columns]},
            }
        )
    return resources


def _csv_sql(name: str) -> str:
    kind = FIELDS[name].type
    if pa.types.is_binary(kind):
        return f'base64("{name}")'
    if pa.types.is_nested(kind):
        return f'to_json("{name}")'
    if pa.types.is_timestamp(kind):
        if kind.tz is None:
            return f"strftime(\"{name}\", '{_LOCAL}')"
        return f"strftime(\"{name}\" AT TIME ZONE 'UTC', '{_LOCAL}Z')"
    return f'"{name}"'


def _descriptor(name: str) -> dict[str, Any]:
    field = FIELDS[name]
    descriptor: dict[str, Any] = {"name": name, "description": field.description, "type": "string"}
    if field.unit:
        descriptor["unit"] = field.unit
    kind = field.type
    if pa.types.is_binary(kind):
        return descriptor | {"format": "binary"}
    if pa.types.is_timestamp(kind):
        return descriptor | {"type": "datetime", "format": _LOCAL if kind.tz is None else _UTC}
    if pa.types.is_map(kind):
        return descriptor | {"type": "object"}
    if pa.types.is_nested(kind):
        return descriptor | {"type": "array"}
    if pa.types.is_boolean(kind):
        return descriptor | {"type": "boolean"}
    if pa.types.is_integer(kind):
        return descriptor | {"type": "integer"}
    if pa.types.is_floating(kind):
        return descriptor | {"type": "number"}
    return descriptor

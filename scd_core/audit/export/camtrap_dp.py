"""A Camtrap DP 1.0.2 package of an audit: deployments, media, observations, and the audit's own tables beside them.

Camtrap DP: Bubnicki et al., Remote Sensing in Ecology and Conservation 2024; the standard's own pages name every field.
"""

from __future__ import annotations

import json
from datetime import datetime
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import duckdb

from scd_core.audit.export.audit_tables import write_audit_tables
from scd_core.audit.sql import load_sql
from scd_core.errors import InputError

__all__ = ["CORE_TABLES", "table_descriptor", "write_camtrap_dp"]

_VERSION = "1.0.2"
CORE_TABLES = ("deployments", "media", "observations")

_STANDARD = f"https://raw.githubusercontent.com/tdwg/camtrap-dp/{_VERSION}"


@cache
def table_descriptor(table: str) -> dict[str, Any]:
    """Table Schema of a Camtrap DP table: its fields with types and constraints, in order.

    Args:
        table: one of :data:`CORE_TABLES`.
    """
    text = resources.files("scd_core.audit.export").joinpath(f"{table}-table-schema.json").read_text("utf-8")
    content: dict[str, Any] = json.loads(text)
    return content


def write_camtrap_dp(connection: duckdb.DuckDBPyConnection, folder: Path, now: datetime) -> list[str]:
    """Write ``datapackage.json``, the three tables of Camtrap DP, and the audit's tables below ``audit/``.

    Each named target is a machine observation with individualID, box and probability, on the level of the medium; what
    masks and labels made of it stands in its tags (``finalIndividualID:...``, ``errorType:...``). Each label that counts is a
    human observation beside it. What the audit does not know is left open, and noted:

    - A medium without a time cannot be in the tables, where times are required: it is in ``audit/media.csv`` only.
    - A deployment without coordinates has empty ones, which readers take and a validator names.
    - Deployments begin and end with their first and last picture in the audit.
    - Where the camera clock's offset from UTC is unknown, times are written with ``Z`` and the deployment has
      ``timestampIssues``.
    - ``samplingDesign`` and ``captureMethod`` of the project are required and not known; they are set to
      ``opportunistic`` and ``activityDetection``.

    Args:
        connection: database with the tables of :func:`scd_core.audit.export.newest.create_newest`.
        folder: local folder that gets the files.
        now: time of the export.

    Returns:
        One line for each thing that the package lacks.

    Raises:
        InputError: no medium has a time, or an individual or a deployment has a name that Camtrap DP reads as a missing value.
    """
    for name in ("iso_time", "placed", "camtrap_deployments", "camtrap_media", "camtrap_observations"):
        connection.execute(load_sql("scd_core.audit.export", name))
    (n_timed,) = connection.execute("SELECT count(*) FROM placed WHERE captured_at IS NOT NULL").fetchone() or (0,)
    if not n_timed:
        raise InputError(
            "export camtrap-dp: no picture has a capture time, which Camtrap DP requires; run the audit with "
            "media.filename_pattern in the config, or with a manifest beside the pictures"
        )
    _check_names(connection)
    for table in CORE_TABLES:
        columns = ", ".join(f'"{field["name"]}"' for field in table_descriptor(table)["fields"])
        target = str(folder / f"{table}.csv").replace("'", "''")
        connection.execute(f"COPY (SELECT {columns} FROM camtrap_{table}) TO '{target}' (FORMAT csv, HEADER)")
    extras = write_audit_tables(connection, folder)
    notes = _notes(connection)
    package = _package(connection, extras, notes, now)
    (folder / "datapackage.json").write_text(json.dumps(package, indent=2, ensure_ascii=False) + "\n", "utf-8")
    return notes


def _check_names(connection: duckdb.DuckDBPyConnection) -> None:
    """Refuse names that a reader of the package would take for missing values."""
    missing = [word for word in table_descriptor("observations")["missingValues"] if word]
    found = connection.execute(load_sql("scd_core.audit.export", "lost_names"), {"missing": missing}).fetchall()
    if found:
        raise InputError(
            f"export camtrap-dp: Camtrap DP reads {', '.join(repr(name) for (name,) in found)} as a missing value, so these "
            "names would be lost; rename these individuals or deployments, or export --format megadetector"
        )


def _package(
    connection: duckdb.DuckDBPyConnection, extras: list[dict[str, Any]], notes: list[str], now: datetime
) -> dict[str, Any]:
    first, last = (
        connection.execute("SELECT min(captured_at)::DATE, max(captured_at)::DATE FROM placed").fetchone() or ()
    )
    found = connection.execute("SELECT DISTINCT source FROM runs WHERE source IS NOT NULL ORDER BY source").fetchall()
    core = [
        {
            "name": table,
            "path": f"{table}.csv",
            "profile": "tabular-data-resource",
            "format": "csv",
            "mediatype": "text/csv",
            "encoding": "utf-8",
            "schema": f"{_STANDARD}/{table}-table-schema.json",
        }
        for table in CORE_TABLES
    ]
    return {
        "resources": [*core, *extras],
        "profile": f"{_STANDARD}/camtrap-dp-profile.json",
        "name": f"trapaudit-{now:%Y%m%d%H%M%S}",
        "created": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "title": "Camera-trap audit",
        "description": " ".join(
            (
                "Machine and human identifications of individuals, by trapaudit; the audit's own tables are below audit/.",
                *(f"{note[0].upper()}{note[1:]}." for note in notes),
            )
        ),
        "contributors": [{"title": "trapaudit", "role": "contributor"}],
        "sources": [{"title": row[0]} for row in found],
        "project": {
            "title": "Camera-trap audit",
            "description": "The audit does not know the project; samplingDesign and captureMethod are assumed.",
            "samplingDesign": "opportunistic",
            "captureMethod": ["activityDetection"],
            "individualAnimals": True,
            "observationLevel": ["media"],
        },
        "spatial": _extent(connection),
        "temporal": {"start": first.isoformat(), "end": last.isoformat()},
        "taxonomic": [],
    }


def _extent(connection: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """Where the deployments are, as GeoJSON: a rectangle, a point, or an empty collection where nobody knows."""
    bounds = connection.execute(
        "SELECT min(longitude), min(latitude), max(longitude), max(latitude) FROM camtrap_deployments"
    ).fetchone()
    if bounds is None or bounds[0] is None:
        return {"type": "GeometryCollection", "geometries": []}
    west, south, east, north = bounds
    if (west, south) == (east, north):
        return {"type": "Point", "coordinates": [west, south]}
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


def _notes(connection: duckdb.DuckDBPyConnection) -> list[str]:
    notes = []
    (untimed,) = connection.execute("SELECT count(*) FROM placed WHERE captured_at IS NULL").fetchone() or (0,)
    if untimed:
        notes.append(
            f"{untimed} {'medium has' if untimed == 1 else 'media have'} no capture time and "
            f"{'stands' if untimed == 1 else 'stand'} in audit/media.csv only, because Camtrap DP requires a time"
        )
    nowhere = _named(connection, "latitude IS NULL OR longitude IS NULL")
    if nowhere:
        notes.append(
            f"deployments without coordinates, which are left empty and which Camtrap DP requires: {nowhere}; "
            "fill them in deployments.csv, or give the audit a manifest"
        )
    doubtful = _named(connection, '"timestampIssues"')
    if doubtful:
        notes.append(
            "deployments whose clock's offset from UTC is unknown, so that their local times are written with Z and "
            f"timestampIssues is true: {doubtful}"
        )
    return notes


def _named(connection: duckdb.DuckDBPyConnection, condition: str, most: int = 20) -> str:
    """The deployments that a condition holds for, the first few by name."""
    rows = connection.execute(f'SELECT "deploymentID" FROM camtrap_deployments WHERE {condition} ORDER BY 1').fetchall()
    shown = ", ".join(str(row[0]) for row in rows[:most])
    return f"{shown} and {len(rows) - most} more" if len(rows) > most else shown

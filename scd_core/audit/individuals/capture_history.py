"""Capture histories for R's `secr` and `oSCR`: who was at which camera on which occasion, and how sure that is."""

from __future__ import annotations

import csv
import re
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from scd_core.audit.export.send import send_file
from scd_core.audit.individuals.whose import open_individuals, select
from scd_core.audit.sql import load_sql
from scd_core.errors import InputError
from scd_core.storage import clean_url, open_source

__all__ = ["CaptureHistory", "metres", "write_capture_history"]

_MOST_OCCASIONS = 2000
_SESSION = "1"
_WHERE = "export capture-history"
_MAJOR, _FLATTENING = 6378137.0, 1 / 298.257223563
"""Of the earth (WGS 84): its larger radius (metres) and flattening."""
_README = """Capture histories of {out}.

captures.csv     Session, ID, Occasion, Detector: one line for each individual at each detector on each occasion
traps.csv        Detector, X, Y (metres east and north of {origin}), and for each occasion 1 where it worked, else 0
cells.csv        the same captures with numbers of pictures, and the share of them that a person named (share_certain)
individuals.csv  ID and name in the audit; a candidate is a proposal for a new individual that nobody has named yet

{n_occasions} occasions of {hours:g} hours, the first from {start}, on the cameras' clocks.

library(secr)
ch <- read.capthist("captures.csv", "traps.csv", detector = "proximity", noccasions = {n_occasions})

library(oSCR)
edf <- read.csv("captures.csv"); tdf <- read.csv("traps.csv")
data <- data2oscr(edf, sess.col = 1, id.col = 2, occ.col = 3, trap.col = 4, tdf = list(tdf),
                  K = {n_occasions}, ntraps = {n_traps})
"""


@dataclass(frozen=True)
class CaptureHistory:
    """What was written."""

    address: str
    """Of captures.csv."""
    n_individuals: int
    n_occasions: int
    n_detectors: int
    notes: list[str]
    """What a reader needs to know, a line each."""


def metres(latitude: np.ndarray, longitude: np.ndarray, origin: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Metres east and north of an origin: azimuthal equidistant, with the ellipsoid's two radii there.

    Within 100 km distances are right to about 0.1 %.

    Args:
        latitude: degrees, (N,).
        longitude: degrees, (N,).
        origin: latitude and longitude, degrees.

    >>> east, north = metres(np.array([0.0, 0.1]), np.array([0.1, 0.0]), (0.0, 0.0))
    >>> east.round().tolist(), north.round().tolist()
    ([11132.0, 0.0], [0.0, 11057.0])
    """
    lat, lon = np.radians(latitude), np.radians(longitude)
    lat0, lon0 = np.radians(origin[0]), np.radians(origin[1])
    cosine = np.sin(lat0) * np.sin(lat) + np.cos(lat0) * np.cos(lat) * np.cos(lon - lon0)
    angle = np.arccos(np.clip(cosine, -1.0, 1.0))
    scale = np.where(angle > 1e-9, angle / np.maximum(np.sin(angle), 1e-12), 1.0)
    squared = _FLATTENING * (2 - _FLATTENING)
    bent = 1 - squared * np.sin(lat0) ** 2
    across, along = _MAJOR / np.sqrt(bent), _MAJOR * (1 - squared) / bent**1.5
    east = scale * np.cos(lat) * np.sin(lon - lon0) * across
    north = scale * (np.cos(lat0) * np.sin(lat) - np.sin(lat0) * np.cos(lat) * np.cos(lon - lon0)) * along
    return east, north


def write_capture_history(
    out: str, directory: str, *, occasion_hours: float = 24.0, first_hour: int = 0
) -> CaptureHistory:
    """Write capture histories of all individuals, known and candidates.

    ``captures.csv`` and ``traps.csv`` are in the formats of DENSITY, which ``secr::read.capthist`` reads and
    ``oSCR::data2oscr`` takes: a line for each individual, occasion and detector (type ``proximity``), and the detectors in
    metres with their use. A detector is taken to work from its first to its last picture of a deployment. ``cells.csv`` has
    for each capture the numbers of pictures and visits and the share that people named; unknowns that are in no candidate
    are in it without an ID. ``individuals.csv`` has the names.

    Args:
        out: OUT.
        directory: URL or path of the folder that gets the files; files of the same names are replaced.
        occasion_hours: length of an occasion (hours).
        first_hour: hour of the day at which occasions begin, 0-23; 12 keeps a night in one.

    Raises:
        InputError: OUT holds no audit, no named picture has a time and a camera, or there would be more than 2 000 occasions.
        RunError: OUT could not be read, or a file could not be written.
    """
    read = _read(out, occasion_hours, first_hour)
    cells, detectors, n_occasions = read.cells, read.detectors, read.n_occasions
    places = [one["place"] for one in detectors]
    names = sorted({cell["name"] for cell in cells if cell["name"] is not None})
    detector_ids, ids = _identifiers(places, "D"), _identifiers(names, "I")
    traps, origin = _traps(detectors, detector_ids, n_occasions)
    kinds = {cell["name"]: cell["kind"] for cell in cells}
    tables: dict[str, tuple[Sequence[str], list[Sequence[Any]]]] = {
        "individuals.csv": (("ID", "name", "kind"), [(ids[name], name, kinds[name]) for name in names]),
        "cells.csv": (_CELL_COLUMNS, [_cell(cell, ids, detector_ids) for cell in cells]),
        "traps.csv": (("# Detector", "X", "Y", *map(str, range(1, n_occasions + 1))), traps),
        "captures.csv": (
            ("# Session", "ID", "Occasion", "Detector"),
            [
                (_SESSION, ids[cell["name"]], cell["occasion"], detector_ids[cell["place"]])
                for cell in cells
                if cell["name"] is not None
            ],
        ),
    }
    readme = _README.format(
        out=clean_url(out),
        origin=origin or "?",
        n_occasions=n_occasions,
        hours=occasion_hours,
        start=read.start,
        n_traps=len(traps),
    )
    return CaptureHistory(
        _write(directory, tables, readme), len(names), n_occasions, len(traps), _notes(cells, detectors, read.lost)
    )


@dataclass(frozen=True)
class _Read:
    """What is known of the captures."""

    start: datetime
    n_occasions: int
    detectors: list[dict[str, Any]]
    cells: list[dict[str, Any]]
    lost: dict[str, int]


def _read(out: str, occasion_hours: float, first_hour: int) -> _Read:
    with open_individuals(out) as connection:
        connection.execute(
            load_sql(__package__, "capture_pictures"), {"hours": occasion_hours, "first_hour": first_hour}
        )
        ((start, n_occasions, last),) = connection.execute(
            "SELECT min(start), max(occasion), max(captured_at) FROM capture_pictures WHERE occasion IS NOT NULL"
        ).fetchall()
        if not n_occasions:
            raise InputError(
                f"{_WHERE}: no picture has both a time and a camera; run the audit with media.filename_pattern in the config, or "
                "with a manifest beside the pictures"
            )
        if n_occasions > _MOST_OCCASIONS:
            raise InputError(
                f"{_WHERE}: {n_occasions} occasions of {occasion_hours:g} hours from {start:%Y-%m-%d} to {last:%Y-%m-%d}, over "
                f"{_MOST_OCCASIONS}; the clock of a camera may be wrong (see clock_doubt of the table media), or give longer "
                "ones with --occasion-hours"
            )
        detectors = select(connection, "capture_detectors").to_pylist()
        cells = select(connection, "capture_cells").to_pylist()
        lost = select(connection, "capture_lost").to_pylist()[0]
    if not any(cell["name"] for cell in cells):
        raise InputError(f"{_WHERE}: no picture with a time and a camera has a name or a candidate")
    return _Read(start, n_occasions, detectors, cells, lost)


_CELL_COLUMNS = (
    "Session", "ID", "Occasion", "Detector", "name", "kind", "camera", "n_pictures", "n_events", "n_certain", "share_certain",
    "n_suspect", "n_doubtful_times",
)  # fmt: skip


def _cell(cell: dict[str, Any], ids: dict[str, str], detector_ids: dict[str, str]) -> Sequence[Any]:
    name, n = cell["name"], cell["n_pictures"]
    return (
        _SESSION, "" if name is None else ids[name], cell["occasion"], detector_ids[cell["place"]], name or "", cell["kind"],
        cell["place"], n, cell["n_events"], cell["n_certain"], f"{cell['n_certain'] / n:.3f}", cell["n_suspect"],
        cell["n_doubtful_times"],
    )  # fmt: skip


def _identifiers(names: Sequence[str], prefix: str) -> dict[str, str]:
    """Names as DENSITY's files take them: no blanks, commas or underscores; different names stay different."""
    found: dict[str, str] = {}
    used: set[str] = set()
    for name in names:
        plain = re.sub(r"[^0-9A-Za-z.\-]+", "-", name).strip("-") or prefix
        one, number = plain, 1
        while one.casefold() in used:
            number += 1
            one = f"{plain}-{number}"
        used.add(one.casefold())
        found[name] = one
    return found


def _traps(
    detectors: list[dict[str, Any]], ids: dict[str, str], n_occasions: int
) -> tuple[list[Sequence[Any]], str | None]:
    """Lines of traps.csv, and the origin of their coordinates in words; None where no detector has any."""
    placed = [one for one in detectors if one["latitude"] is not None]
    at: dict[str, tuple[str, str]] = {}
    origin = None
    if placed:
        latitude = np.array([one["latitude"] for one in placed])
        longitude = np.array([one["longitude"] for one in placed])
        middle = float(latitude.mean()), float(longitude.mean())
        origin = f"latitude {middle[0]:.6f}, longitude {middle[1]:.6f}"
        east, north = metres(latitude, longitude, middle)
        at = {one["place"]: (f"{x:.1f}", f"{y:.1f}") for one, x, y in zip(placed, east, north, strict=True)}
    lines: list[Sequence[Any]] = []
    for one in detectors:
        used = [0] * n_occasions
        for low, high in (tuple(stay.values()) if isinstance(stay, dict) else stay for stay in one["stays"]):
            used[low - 1 : high] = [1] * (high - low + 1)
        lines.append((ids[one["place"]], *at.get(one["place"], ("NA", "NA")), *used))
    return lines, origin


def _notes(cells: list[dict[str, Any]], detectors: list[dict[str, Any]], lost: dict[str, int]) -> list[str]:
    n_pictures = sum(cell["n_pictures"] for cell in cells)
    n_certain = sum(cell["n_certain"] for cell in cells)
    notes = [f"people named {n_certain} of {n_pictures} pictures; cells.csv has the share of each capture"]
    candidates = {cell["name"] for cell in cells if cell["kind"] == "candidate"}
    if candidates:
        notes.append(
            f"{len(candidates)} of the individuals are candidates, which may be one animal in several parts: see "
            "`trapaudit individuals count`"
        )
    unknown = sum(cell["n_pictures"] for cell in cells if cell["name"] is None)
    if unknown:
        notes.append(f"{unknown} pictures of unknowns in no candidate are in cells.csv, and in no capture")
    for key, reason in (("n_untimed", "a time"), ("n_unplaced", "a camera")):
        if lost[key]:
            notes.append(f"{lost[key]} pictures are in no cell, because they lack {reason}")
    doubtful = sum(cell["n_doubtful_times"] for cell in cells)
    if doubtful:
        notes.append(f"{doubtful} pictures have a time that is in doubt (n_doubtful_times)")
    nowhere = [one["place"] for one in detectors if one["latitude"] is None]
    if nowhere:
        shown = ", ".join(nowhere[:10]) + (f" and {len(nowhere) - 10} more" if len(nowhere) > 10 else "")
        notes.append(f"cameras without coordinates have NA in traps.csv, which secr refuses; fill them in: {shown}")
    return notes


def _write(directory: str, tables: dict[str, tuple[Sequence[str], list[Sequence[Any]]]], readme: str) -> str:
    """Send the files, captures.csv last; its address."""
    storage = open_source(directory)
    with tempfile.TemporaryDirectory(prefix="trapaudit-") as scratch:
        folder = Path(scratch)
        (folder / "README.txt").write_text(readme, "utf-8")
        for name, (header, lines) in tables.items():
            _write_csv(folder / name, header, lines)
        for name in ("README.txt", *tables):
            send_file(storage, folder / name, name)
    return storage.uri_of(storage.path("captures.csv"))


def _write_csv(path: Path, header: Sequence[str], lines: Iterable[Sequence[Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(lines)

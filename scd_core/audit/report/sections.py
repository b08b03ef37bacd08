"""The page's sections on cameras, confusions, calibration and files that were handed in, from the rows of their queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from markupsafe import Markup

from scd_core.audit.labels.checks import boxless_notes
from scd_core.audit.report.charts import ReliabilityBin, reliability_chart
from scd_core.audit.report.queries import BinRow, CameraRow, PairRow, Row
from scd_core.audit.slices.statistics import wilson_interval
from scd_core.config import SliceConfig
from scd_core.inputs.counts import LABELS, MAX_EXAMPLES, FileCounts, counts_from_json
from scd_core.inputs.labels import unplaced_words

__all__ = ["Calibration", "Cameras", "Confusions", "HandedIn", "calibration", "cameras", "confusions", "handed_in"]

_LIGHTS = ("day", "night", "infrared", "unknown")
_SHADES = (0.05, 0.15, 0.3)
"""Lower ends of the interval from which the shade of an error rate is 2, 3 and 4."""


@dataclass(frozen=True)
class CameraCell:
    """Error rate of one camera in one light."""

    n_events: int
    n_errors: int
    rate: float
    """Weighted share of all events where some that nobody flagged are labelled, else the share of the labelled ones."""
    is_weighted: bool
    level: int
    """Shade, 0 (no error) to 4 (surely at least 30 % wrong)."""


@dataclass(frozen=True)
class Cameras:
    """Error rates by camera and light."""

    lights: Sequence[str]
    """Lights that occur, in their order."""
    rows: Sequence[tuple[str, Mapping[str, CameraCell], CameraCell]]
    """camera_id, light -> cell, all lights together; most wrong events first."""
    n_cameras: int


@dataclass(frozen=True)
class Confusions:
    """Which individuals are called by which other name."""

    pairs: Sequence[PairRow]
    n_pairs: int
    names: Sequence[str]
    """Individuals of the matrix."""
    matrix: Mapping[tuple[str, str], PairRow]
    """(true_id, predicted_id) -> pair."""


@dataclass(frozen=True)
class HandedIn:
    """A file that was handed in with a run."""

    counts: FileCounts
    last_at: datetime
    """When the last batch with it was finished, or when it was imported, UTC."""


@dataclass(frozen=True)
class Calibration:
    """How often names of a probability are right."""

    bins: Sequence[ReliabilityBin]
    error: float | None
    """Expected calibration error, 0-1."""
    chart: Markup


def cameras(rows: Sequence[CameraRow], limit: int, config: SliceConfig) -> Cameras:
    """The cameras with most wrong events, at most `limit`."""
    by_camera: dict[str, list[CameraRow]] = {}
    for row in rows:
        by_camera.setdefault(row["camera_id"], []).append(row)
    found = [
        (camera, {row["light"]: _cell([row], config) for row in lights}, _cell(lights, config))
        for camera, lights in by_camera.items()
    ]
    found.sort(key=lambda item: (-item[2].n_errors, -item[2].rate, item[0]))
    lights = [light for light in _LIGHTS if any(row["light"] == light for row in rows)]
    return Cameras(lights, found[:limit], len(found))


def _cell(rows: Sequence[CameraRow], config: SliceConfig) -> CameraCell:
    """The shade follows the lower end of the interval, and few events stay pale: one error of one event proves little."""
    weight = sum(row["weight"] or 0.0 for row in rows)
    wrong = sum(row["wrong_weight"] or 0.0 for row in rows)
    n_events, n_errors = sum(row["n_events"] for row in rows), sum(row["n_errors"] for row in rows)
    squares = sum(row["squares"] or 0.0 for row in rows)
    is_weighted = weight > 0 and any(row["n_unflagged"] for row in rows)
    rate, n = (wrong / weight, weight**2 / squares) if is_weighted else (n_errors / n_events, n_events)
    low, _ = wilson_interval(rate, n, config.confidence)
    level = 1 + sum(float(low) >= shade for shade in _SHADES) if n_errors else 0
    return CameraCell(n_events, n_errors, rate, is_weighted, level if n_events >= config.min_events else min(level, 1))


def confusions(pairs: Sequence[PairRow], limit: int) -> Confusions:
    """Pairs, and a matrix of at most `limit` individuals: those of the most frequent pairs."""
    names: set[str] = set()
    for row in pairs:
        both = names | {row["true_id"], row["predicted_id"]}
        if len(both) <= limit:
            names = both
    matrix = {(row["true_id"], row["predicted_id"]): row for row in pairs}
    return Confusions(pairs, pairs[0]["n_pairs"] if pairs else 0, sorted(names), matrix)


def calibration(rows: Sequence[BinRow], config: SliceConfig) -> Calibration:
    """Bins with their intervals; the error is the mean distance between probability and share right, by predictions."""
    bins = []
    for row in rows:
        low, high = wilson_interval(row["accuracy"], row["n_effective"], config.confidence)
        bins.append(ReliabilityBin(row["probability"], row["accuracy"], float(low), float(high), row["n"]))
    n = sum(found.n for found in bins)
    error = sum(found.n * abs(found.accuracy - found.probability) for found in bins) / n if n else None
    return Calibration(bins, error, reliability_chart(bins))


def handed_in(rows: Sequence[Row], label_files: Sequence[Row]) -> list[HandedIn]:
    """Files of the runs, each as of the last run with it on a SOURCE, and all files of labels as they are now.

    Args:
        rows: of the query `inputs`, newest first.
        label_files: of the query `label_files`.
    """
    found: dict[tuple[str, str, str], HandedIn] = {}
    of_runs: dict[str, HandedIn] = {}
    imported = {row["file"] for row in label_files}
    for row in rows:
        for counts in counts_from_json(row["inputs"]):
            if counts.kind == LABELS and counts.name in imported:
                of_runs.setdefault(counts.name, HandedIn(counts, row["last_at"]))
            else:
                found.setdefault((row["source"], counts.kind, counts.name), HandedIn(counts, row["last_at"]))
    labels = [HandedIn(_label_counts(row, of_runs.get(row["file"])), row["last_at"]) for row in label_files]
    return sorted([*found.values(), *labels], key=lambda item: item.last_at, reverse=True)


def _label_counts(row: Row, of_run: HandedIn | None) -> FileCounts:
    """What became of a file of labels; a run counts its rows before the boxes of its pictures are known.

    Args:
        row: of the query `label_files`.
        of_run: counts of the last run with the file; None where `labels import` read it. They count where they are newer than
            the last import, or its rows were written by an older version.
    """
    (own,) = counts_from_json(row["counts"]) or (None,)
    is_of_run = of_run is not None and (own is None or of_run.last_at > row["last_at"])
    before = of_run.counts if of_run is not None and is_of_run else own
    if not row["n_labels"]:
        return FileCounts(LABELS, row["file"], before.rows if before else 0, notes=("taken back with `labels undo`",))
    before = before or FileCounts(LABELS, row["file"], row["n_labels"])
    # A run's examples are also of what waited then.
    examples = [*unplaced_words(row["ambiguous"], row["waiting"]), *(() if is_of_run else before.examples)]
    return replace(
        before,
        rows=max(before.rows, row["n_labels"] + before.unusable),
        joined=row["n_labels"] - row["n_waiting"],
        waiting=row["n_waiting"],
        examples=tuple(examples[:MAX_EXAMPLES]),
        notes=(*before.notes, *boxless_notes(row["boxless"])),
    )

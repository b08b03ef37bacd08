"""Everything the page says, gathered from the tables of an audit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import duckdb
from markupsafe import Markup

from scd_core.audit.report import queries
from scd_core.audit.report.charts import ReliabilityBin, interval_chart, reliability_chart
from scd_core.audit.report.examples import Example, load_examples, shared_out
from scd_core.audit.report.queries import Row
from scd_core.audit.report.totals import Totals, report_totals
from scd_core.audit.report.wording import slice_title
from scd_core.audit.slices.statistics import wilson_interval
from scd_core.config import AuditConfig

__all__ = ["LIMITS", "Limits", "ReportContent", "SliceCard", "Snapshots", "gather"]


@dataclass(frozen=True)
class Limits:
    """How much of each list the page shows; the rest is counted, and is one query away."""

    slices: int = 20
    folded: int = 12
    unproved: int = 40
    cameras: int = 40
    individuals: int = 12
    pairs: int = 30
    suspected: int = 40
    suspected_pictures: int = 6
    single_errors: int = 6
    label_next: int = 30
    quarantined: int = 100
    picture_bytes: int = 3_800_000


LIMITS = Limits()


@dataclass(frozen=True)
class Snapshots:
    """The newest report's snapshot and the one before it."""

    newest: str | None
    previous_at: datetime | None


@dataclass(frozen=True)
class SliceCard:
    """A slice as the page shows it."""

    row: Row
    title: str
    chart: Markup
    history: tuple[float, ...]
    """Error rates in the reports so far, oldest first; this one's last."""
    folded: tuple[Row, ...] = ()
    examples: tuple[Example, ...] = ()


@dataclass(frozen=True)
class CameraCell:
    """Error rate of one camera in one light."""

    n_events: int
    n_errors: int
    rate: float
    level: int
    """Shade, 0 (no error) to 4 (at least 30 % err, as far as the interval tells)."""


@dataclass(frozen=True)
class ReportContent:
    """What the template draws."""

    now: datetime
    config: AuditConfig
    snapshots: Snapshots
    totals: Totals
    models: Sequence[Row]
    model_change: Row
    added: Row
    overall_low: float | None
    overall_high: float | None
    types: Sequence[Row]
    count_effect: Row
    changes: Mapping[str, Sequence[SliceCard]]
    scale: float
    """Right end of the axis of all intervals, 0-1."""
    systematic: Sequence[SliceCard]
    single_errors: Sequence[Example]
    unproved: Sequence[SliceCard]
    n_unproved: int
    lights: Sequence[str]
    cameras: Sequence[tuple[str, Mapping[str, CameraCell], CameraCell]]
    n_cameras: int
    pairs: Sequence[Row]
    n_pairs: int
    matrix_names: Sequence[str]
    matrix: Mapping[tuple[str, str], Row]
    bins: Sequence[ReliabilityBin]
    calibration_error: float | None
    reliability: Markup
    suspicion_kinds: Sequence[Row]
    suspected: Sequence[Row]
    n_suspected_events: int
    suspected_examples: Sequence[Example]
    label_next: Sequence[Row]
    n_label_next: int
    quarantine_kinds: Sequence[Row]
    quarantined: Sequence[Row]
    limits: Limits


def gather(
    connection: duckdb.DuckDBPyConnection,
    config: AuditConfig,
    snapshots: Snapshots,
    now: datetime,
    limits: Limits = LIMITS,
) -> ReportContent:
    """Ask the audit for everything the page says, and draw its pictures.

    Args:
        connection: database with the audit's tables (:func:`scd_core.audit.query.connection.open_tables`).
        config: settings; `slices.examples` pictures per slice, `media` for decoding them.
        snapshots: the report that is drawn and the one before.
        now: time that the page carries.
        limits: how much of each list is shown.
    """
    totals = report_totals(connection)
    slices = [row for row in queries.slice_rows(connection) if row["error_rate"] is not None]
    gone = [row for row in slices if row["trend"] == "gone"]
    live = [row for row in slices if row["trend"] != "gone"]
    top = [row for row in live if row["is_systematic"] and row["folded_into"] is None]
    unproved = [row for row in live if not row["is_systematic"]]
    folded: dict[str, list[Row]] = {}
    for row in live:
        if row["folded_into"] is not None:
            folded.setdefault(row["folded_into"], []).append(row)
    unproved = [row for row in unproved if row["folded_into"] is None]
    histories: dict[str, list[float]] = {}
    for row in queries.history_rows(connection, [row["slice_id"] for row in top[: limits.slices]]):
        histories.setdefault(row["slice_id"], []).append(row["error_rate"])

    shown = top[: limits.slices]
    suspected = queries.suspicion_rows(connection, limits.suspected)
    told = [media for row in shown for media in _wanted(row, config)]
    singles = queries.single_errors(connection, told, limits.single_errors) if config.slices.examples else []
    doubted = [row["media_id"] for row in suspected[: limits.suspected_pictures]] if config.slices.examples else []
    groups = [*(_wanted(row, config) for row in shown), singles, doubted]
    by_media = _examples(connection, config, limits, groups)
    scale = _scale([*shown, *unproved[: limits.unproved]])
    cards = [
        SliceCard(
            row,
            slice_title(dict(row["slice"])),
            _interval(row, scale),
            tuple(histories.get(row["slice_id"], ())[-12:]),
            tuple(folded.get(row["slice_id"], ())),
            tuple(by_media[media] for media in _wanted(row, config) if media in by_media),
        )
        for row in shown
    ]
    cameras, lights, n_cameras = _cameras(queries.camera_rows(connection), limits.cameras, config)
    pairs = queries.confusion_rows(connection, limits.pairs)
    names = _matrix_names(pairs, limits.individuals)
    bins = _bins(queries.calibration_rows(connection), config)
    label_next = queries.label_next_rows(connection, limits.label_next)
    low, high = _overall(totals, config)
    return ReportContent(
        now=now,
        config=config,
        snapshots=snapshots,
        totals=totals,
        models=queries.model_rows(connection),
        model_change=queries.model_change(connection),
        added=queries.new_batches(connection, snapshots.previous_at),
        overall_low=low,
        overall_high=high,
        types=queries.type_rows(connection),
        count_effect=queries.count_effect(connection),
        changes=_changes(top, gone, scale),
        scale=scale,
        systematic=cards,
        single_errors=[by_media[media] for media in singles if media in by_media],
        unproved=[_plain_card(row, scale) for row in unproved[: limits.unproved]],
        n_unproved=len(unproved),
        lights=lights,
        cameras=cameras,
        n_cameras=n_cameras,
        pairs=pairs,
        n_pairs=pairs[0]["n_pairs"] if pairs else 0,
        matrix_names=names,
        matrix={(row["true_id"], row["predicted_id"]): row for row in pairs},
        bins=bins,
        calibration_error=_calibration_error(bins),
        reliability=reliability_chart(bins),
        suspicion_kinds=queries.suspicion_kinds(connection),
        suspected=suspected,
        n_suspected_events=suspected[0]["n_events"] if suspected else 0,
        suspected_examples=[by_media[media] for media in dict.fromkeys(doubted) if media in by_media],
        label_next=label_next,
        n_label_next=label_next[0]["n_waiting"] if label_next else 0,
        quarantine_kinds=queries.quarantine_kinds(connection),
        quarantined=queries.quarantined_rows(connection, limits.quarantined),
        limits=limits,
    )


def _wanted(row: Row, config: AuditConfig) -> list[str]:
    return list(row["example_media_ids"] or ())[: config.slices.examples]


def _examples(
    connection: duckdb.DuckDBPyConnection, config: AuditConfig, limits: Limits, groups: Sequence[Sequence[str]]
) -> dict[str, Example]:
    """media_id -> its example. Every group gets its first picture before any gets its second."""
    media = shared_out(groups)
    if not media:
        return {}
    best: dict[str, Row] = {}
    for row in queries.example_rows(connection, media):
        found = best.get(row["media_id"])
        if found is None or _telling(row) > _telling(found):
            best[row["media_id"]] = row
    rows = [best[name] for name in media if name in best]
    strategies = queries.strategy_rows(connection, [row["target_id"] for row in rows])
    sources = queries.query(connection, "SELECT batch_key, any_value(source) AS source FROM runs GROUP BY batch_key")
    by_batch = {row["batch_key"]: row["source"] for row in sources}
    examples = load_examples(rows, strategies, by_batch, config.media, limits.picture_bytes)
    return {example.row["media_id"]: example for example in examples}


def _telling(row: Row) -> tuple[bool, bool, bool]:
    """Of several boxes in one picture: the wrong one, masked, corrected."""
    return row["error_type"] not in (None, "correct"), row["mask_png"] is not None, bool(row["is_recovered"])


def _scale(rows: Sequence[Row]) -> float:
    """One axis for all intervals, so that lengths can be compared: to the next quarter above the largest upper end."""
    highest = max((row["ci_high"] for row in rows), default=1.0)
    return min(1.0, max(0.25, -(-highest // 0.25) * 0.25))


def _interval(row: Row, scale: float) -> Markup:
    return interval_chart(row["error_rate"], row["ci_low"], row["ci_high"], row["baseline_rate"], scale)


def _plain_card(row: Row, scale: float) -> SliceCard:
    return SliceCard(row, slice_title(dict(row["slice"])), _interval(row, scale), ())


def _changes(top: Sequence[Row], gone: Sequence[Row], scale: float) -> dict[str, list[SliceCard]]:
    """Trend -> slices, for what moved since the report before."""
    changes = {
        trend: [_plain_card(row, scale) for row in top if row["trend"] == trend]
        for trend in ("new", "growing", "shrinking")
    }
    return changes | {"gone": [_plain_card(row, scale) for row in gone]}


def _cell(rows: Sequence[Row], config: AuditConfig) -> CameraCell:
    """The shade follows the lower end of the interval, and few events stay pale: one error of one event proves little."""
    weight = sum(row["weight"] or 0.0 for row in rows)
    wrong = sum(row["wrong_weight"] or 0.0 for row in rows)
    n_events, n_errors = sum(row["n_events"] for row in rows), sum(row["n_errors"] for row in rows)
    rate = wrong / weight if weight else 0.0
    low, _ = wilson_interval(rate, n_events, config.slices.confidence)
    level = 0 if not n_errors else 1 + sum(float(low) >= limit for limit in (0.05, 0.15, 0.3))
    return CameraCell(n_events, n_errors, rate, level if n_events >= config.slices.min_events else min(level, 1))


def _cameras(
    rows: Sequence[Row], limit: int, config: AuditConfig
) -> tuple[list[tuple[str, dict[str, CameraCell], CameraCell]], list[str], int]:
    """Cameras with most wrong events first, each light and all together; the lights that occur; number of cameras."""
    lights = [light for light in ("day", "night", "infrared", "unknown") if any(row["light"] == light for row in rows)]
    by_camera: dict[str, list[Row]] = {}
    for row in rows:
        by_camera.setdefault(row["camera_id"], []).append(row)
    cameras = [
        (camera, {row["light"]: _cell([row], config) for row in found}, _cell(found, config))
        for camera, found in by_camera.items()
    ]
    cameras.sort(key=lambda item: (-item[2].n_errors, -item[2].rate, item[0]))
    return cameras[:limit], lights, len(cameras)


def _matrix_names(pairs: Sequence[Row], limit: int) -> list[str]:
    """Individuals of the most frequent confusions, in the order in which they come up."""
    names: dict[str, None] = {}
    for row in pairs:
        fresh = {row["true_id"], row["predicted_id"]} - names.keys()
        if len(names) + len(fresh) <= limit:
            names |= dict.fromkeys(name for name in (row["true_id"], row["predicted_id"]))
    return sorted(names)


def _bins(rows: Sequence[Row], config: AuditConfig) -> list[ReliabilityBin]:
    bins = []
    for row in rows:
        low, high = wilson_interval(row["accuracy"], row["n_effective"], config.slices.confidence)
        bins.append(ReliabilityBin(row["probability"], row["accuracy"], float(low), float(high), row["n"]))
    return bins


def _calibration_error(bins: Sequence[ReliabilityBin]) -> float | None:
    """Mean distance between probability and share right, weighted by the predictions of the bin."""
    n = sum(found.n for found in bins)
    return sum(found.n * abs(found.accuracy - found.probability) for found in bins) / n if n else None


def _overall(totals: Totals, config: AuditConfig) -> tuple[float | None, float | None]:
    if totals.error_rate is None or not totals.n_effective:
        return None, None
    low, high = wilson_interval(totals.error_rate, totals.n_effective, config.slices.confidence)
    return float(low), float(high)

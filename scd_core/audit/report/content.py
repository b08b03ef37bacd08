"""Everything that the page shows, gathered from the tables of an audit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import duckdb
from markupsafe import Markup

from scd_core.audit.compare.models import Comparison
from scd_core.audit.compare.sentences import comparison_lines
from scd_core.audit.query.batches import batches_shown
from scd_core.audit.queue.draw import draw_queue
from scd_core.audit.report.charts import interval_chart
from scd_core.audit.report.contrasts import Contrast, load_contrasts
from scd_core.audit.report.examples import Example, load_examples, shared_out
from scd_core.audit.report.label_file import label_file
from scd_core.audit.report.label_next import LabelItem, label_next
from scd_core.audit.report.limits import LIMITS, Limits
from scd_core.audit.report.queries import (
    RatedSlice,
    Row,
    create_views,
    first_row,
    query,
    suspected_pictures,
    unusable_files,
)
from scd_core.audit.report.related import relation_sentences
from scd_core.audit.report.sections import (
    Calibration,
    Cameras,
    Confusions,
    HandedIn,
    calibration,
    cameras,
    confusions,
    handed_in,
)
from scd_core.audit.report.totals import Totals, report_totals
from scd_core.audit.slices.data import DAY_HOURS
from scd_core.audit.wording import slice_title
from scd_core.config import AuditConfig
from scd_core.names import ErrorType, Trend

__all__ = ["ReportContent", "Snapshots", "gather"]


@dataclass(frozen=True)
class Snapshots:
    """The newest report's snapshot and the one before it."""

    newest: str | None
    previous_at: datetime | None


@dataclass(frozen=True)
class SliceCard:
    """A slice as the page shows it."""

    row: RatedSlice
    title: str
    chart: Markup
    history: Sequence[float] = ()
    """Error rates in the reports so far, oldest first; this one's last."""
    explained: Sequence[RatedSlice] = ()
    examples: Sequence[Example] = ()
    contrasts: Sequence[Contrast] = ()
    """Pictures with what is evidence for the one name of its pair and not the other."""


@dataclass(frozen=True)
class SliceGroups:
    """Slices of the newest report by their place on the page."""

    systematic: Sequence[RatedSlice]
    """Systematic errors that no simpler slice explains, the worst first."""
    explained: Mapping[str, Sequence[RatedSlice]]
    """slice_id -> slices that it explains."""
    unproved: Sequence[RatedSlice]
    gone: Sequence[RatedSlice]


@dataclass(frozen=True)
class ReportContent:
    """What the template draws."""

    out: str
    """OUT, as the page's commands name it."""
    now: datetime
    config: AuditConfig
    limits: Limits
    snapshots: Snapshots
    totals: Totals
    models: Sequence[Row]
    model_change: Row
    compared: Sequence[str]
    """Two models side by side, in the lines of `compare`; the last one is what to do. Empty for none."""
    added: Row
    """What the batches since the report before hold."""
    types: Sequence[Row]
    relations: Sequence[str]
    """How names that differ from the label are related to it, in sentences."""
    count_effect: Row
    changes: Mapping[Trend, Sequence[SliceCard]]
    n_unannounced: int
    """Systematic errors that this look shows, and that no evidence for any number of looks shows yet."""
    scale: float
    """Right end of the axis of all intervals, 0-1."""
    systematic: Sequence[SliceCard]
    singles: Row
    """How many wrong names no systematic error holds, and how many of these were masked and corrected; empty for none."""
    single_errors: Sequence[Example]
    unproved: Sequence[SliceCard]
    n_unproved: int
    cameras: Cameras
    confusions: Confusions
    calibration: Calibration
    suspicion_kinds: Sequence[Row]
    suspected: Sequence[Row]
    suspected_examples: Sequence[Example]
    label_next: Sequence[LabelItem]
    label_file: str
    """The list as a file to write names into, as an address; "" where nothing waits."""
    n_label_file: int
    quarantine_kinds: Sequence[Row]
    quarantined: Sequence[Row]
    inputs: Sequence[HandedIn]
    """Files that were handed in, the newest first."""


def gather(
    connection: duckdb.DuckDBPyConnection,
    config: AuditConfig,
    snapshots: Snapshots,
    now: datetime,
    limits: Limits = LIMITS,
    out: str = "OUT",
    compared: Comparison | None = None,
) -> ReportContent:
    """Run the report's queries, and draw its pictures and charts.

    Args:
        connection: database with the audit's tables (:func:`scd_core.audit.query.connection.open_tables`).
        config: settings; `slices.examples` pictures per slice, `media` for decoding them.
        snapshots: the report that is drawn and the one before.
        now: time that the page carries.
        limits: how much of each list is shown.
        out: OUT, as the page's commands name it.
        compared: two models side by side; None for none.
    """
    create_views(connection)
    totals = report_totals(connection, config.slices.confidence)
    slices = _group(query(connection, "slices"))
    shown, unproved = slices.systematic[: limits.slices], slices.unproved[: limits.unproved]
    suspected = suspected_pictures(connection, limits.suspected)
    with batches_shown(connection, []):  # of the wrong pictures of slices, their files are not needed
        single_rows = query(connection, "single_errors", limit=limits.single_errors) if config.slices.examples else []
    singles = [row["media_id"] for row in single_rows]
    doubted = [row["media_id"] for row in suspected[: limits.suspected_pictures]] if config.slices.examples else []
    failures: dict[str, str] = {}
    wanted = [*(_wanted(row, config) for row in shown), singles, doubted]
    by_media = _examples(connection, config, limits, wanted, failures)
    scale = _scale([*shown, *unproved])
    by_camera = query(connection, "cameras", day_from=DAY_HOURS[0], day_to=DAY_HOURS[1])
    waiting = draw_queue(connection, max(limits.label_next, limits.label_file)).to_pylist()
    in_file = waiting[: limits.label_file]
    quarantine_kinds, quarantined = unusable_files(connection, limits.quarantined)
    models = query(connection, "models")
    return ReportContent(
        out=out,
        now=now,
        config=config,
        limits=limits,
        snapshots=snapshots,
        totals=totals,
        models=models,
        model_change=first_row(connection, "model_change", model=models[0]["model_digest"]) if len(models) > 1 else {},
        compared=comparison_lines(compared) if compared else [],
        added=first_row(connection, "new_batches", since=snapshots.previous_at),
        types=query(connection, "error_types"),
        relations=relation_sentences(query(connection, "relations")),
        count_effect=first_row(connection, "count_effect"),
        changes=_changes(slices, scale),
        n_unannounced=sum(row["e_value"] is not None and row["announced_at"] is None for row in slices.systematic),
        scale=scale,
        systematic=_cards(connection, config, limits, slices, scale, by_media, failures),
        singles=single_rows[0] if single_rows else {},
        single_errors=[by_media[media] for media in singles if media in by_media],
        unproved=[_card(row, scale) for row in unproved],
        n_unproved=len(slices.unproved),
        cameras=cameras(by_camera, limits.cameras, config.slices),
        confusions=confusions(query(connection, "confusions", limit=limits.pairs), limits.individuals),
        calibration=calibration(query(connection, "calibration"), config.slices),
        suspicion_kinds=query(connection, "suspicion_kinds"),
        suspected=suspected,
        suspected_examples=[by_media[media] for media in dict.fromkeys(doubted) if media in by_media],
        label_next=_label_next(connection, waiting, config, limits, failures),
        label_file=label_file(connection, in_file),
        n_label_file=len(in_file),
        quarantine_kinds=quarantine_kinds,
        quarantined=quarantined,
        inputs=_handed_in(connection, limits.inputs),
    )


def _handed_in(connection: duckdb.DuckDBPyConnection, limit: int) -> list[HandedIn]:
    """Files that were handed in with runs, and files of labels, which wait for no run."""
    label_files = query(connection, "newest_label_files", limit=limit)
    return handed_in(query(connection, "inputs", limit=limit), label_files)


def _group(rows: Sequence[RatedSlice]) -> SliceGroups:
    live = [row for row in rows if row["trend"] != Trend.GONE]
    explained: dict[str, list[RatedSlice]] = {}
    for row in live:
        if row["folded_into"] is not None:
            explained.setdefault(row["folded_into"], []).append(row)
    top = [row for row in live if row["folded_into"] is None]
    return SliceGroups(
        systematic=[row for row in top if row["is_systematic"]],
        explained=explained,
        unproved=[row for row in top if not row["is_systematic"]],
        gone=[row for row in rows if row["trend"] == Trend.GONE],
    )


def _wanted(row: RatedSlice, config: AuditConfig) -> list[str]:
    return list(row["example_media_ids"] or ())[: config.slices.examples]


def _examples(
    connection: duckdb.DuckDBPyConnection,
    config: AuditConfig,
    limits: Limits,
    groups: Sequence[Sequence[str]],
    failures: dict[str, str],
) -> dict[str, Example]:
    """media_id -> its example. Every group gets its first picture before any gets its second."""
    media = shared_out(groups)
    if not media:
        return {}
    best: dict[str, Row] = {}
    with batches_shown(connection, [row["batch_key"] for row in query(connection, "example_batches", media=media)]):
        for row in query(connection, "examples", media=media):
            found = best.get(row["media_id"])
            if found is None or _importance(row) > _importance(found):
                best[row["media_id"]] = row
        rows = [best[name] for name in media if name in best]
        strategies = query(connection, "strategies", targets=[row["target_id"] for row in rows])
    runs = {row["batch_key"]: row for row in query(connection, "runs")}
    examples = load_examples(rows, strategies, runs, config.media, limits.picture_bytes, failures)
    return {example.row["media_id"]: example for example in examples}


def _label_next(
    connection: duckdb.DuckDBPyConnection,
    waiting: Sequence[Row],
    config: AuditConfig,
    limits: Limits,
    failures: dict[str, str],
) -> list[LabelItem]:
    runs = {row["batch_key"]: row for row in query(connection, "runs")}
    n_pictures = limits.label_pictures if config.slices.examples else 0
    budget = limits.label_picture_bytes
    return label_next(waiting[: limits.label_next], runs, config.media, n_pictures, budget, failures)


def _importance(row: Row) -> tuple[bool, bool, bool]:
    """Of several boxes in one picture: the wrong one, masked, corrected."""
    return row["error_type"] not in (None, ErrorType.CORRECT), row["mask_png"] is not None, bool(row["is_recovered"])


def _scale(rows: Sequence[RatedSlice]) -> float:
    """One axis for all intervals, so that lengths can be compared: to the next quarter above the largest upper end."""
    highest = max((row["ci_high"] for row in rows), default=1.0)
    return min(1.0, max(0.25, -(-highest // 0.25) * 0.25))


def _card(
    row: RatedSlice,
    scale: float,
    history: Sequence[float] = (),
    explained: Sequence[RatedSlice] = (),
    examples: Sequence[Example] = (),
    contrasts: Sequence[Contrast] = (),
) -> SliceCard:
    chart = interval_chart(row["error_rate"], row["ci_low"], row["ci_high"], row["baseline_rate"], scale)
    return SliceCard(row, slice_title(dict(row["slice"])), chart, history, explained, examples, contrasts)


def _cards(
    connection: duckdb.DuckDBPyConnection,
    config: AuditConfig,
    limits: Limits,
    slices: SliceGroups,
    scale: float,
    by_media: Mapping[str, Example],
    failures: dict[str, str],
) -> list[SliceCard]:
    """The systematic errors that are shown, with their history, what they explain, their examples and their pair's pictures."""
    shown = slices.systematic[: limits.slices]
    of_cards = {row["slice_id"]: [row, *slices.explained.get(row["slice_id"], ())] for row in shown}
    n_contrasts = min(config.slices.examples, limits.contrasts)
    contrasts = load_contrasts(connection, of_cards, config.media, n_contrasts, limits.contrast_bytes, failures)
    histories: dict[str, list[float]] = {}
    for row in query(connection, "slice_history", slices=[row["slice_id"] for row in shown]):
        histories.setdefault(row["slice_id"], []).append(row["error_rate"])
    return [
        _card(
            row,
            scale,
            histories.get(row["slice_id"], [])[-limits.history :],
            slices.explained.get(row["slice_id"], ()),
            [by_media[media] for media in _wanted(row, config) if media in by_media],
            contrasts.get(row["slice_id"], ()),
        )
        for row in shown
    ]


def _changes(slices: SliceGroups, scale: float) -> dict[Trend, list[SliceCard]]:
    """Trend -> slices, for what moved since the report before."""
    moved: dict[Trend, list[SliceCard]] = {
        trend: [_card(row, scale) for row in slices.systematic if row["trend"] == trend]
        for trend in (Trend.NEW, Trend.GROWING, Trend.SHRINKING)
    }
    return moved | {Trend.GONE: [_card(row, scale) for row in slices.gone]}

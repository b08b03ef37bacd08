"""The totals of an audit, for the report's page and for the line that the command prints."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb

from scd_core.audit.report.queries import first_row

__all__ = ["Totals", "report_totals"]


@dataclass(frozen=True)
class Totals:
    """Counts over the whole audit: each picture once, and each picture or box once, however many models named it.

    Errors are those of the current predictions, so a name that a later run replaced does not count.
    """

    n_media: int
    n_quarantined: int
    n_duplicates: int
    first_captured_at: datetime | None
    last_captured_at: datetime | None
    n_cameras: int
    n_predictions: int
    n_unnamed: int
    n_flagged: int
    n_individuals: int
    n_masked: int
    n_labelled: int
    has_no_control: bool
    """Controls were drawn, but nothing except flagged pictures is labelled."""
    n_labelled_events: int
    n_errors: int
    n_error_events: int
    n_masked_errors: int
    n_recovered: int
    n_broken: int
    n_suspected: int
    error_rate: float | None
    """Weighted share of labelled events with a wrong name, 0-1."""
    final_error_rate: float | None
    """The same for the name after re-classification."""
    n_effective: float | None
    """Independent events that the weighted rates are worth."""
    n_systematic: int
    """Systematic errors that no simpler slice explains."""


def report_totals(connection: duckdb.DuckDBPyConnection) -> Totals:
    """Totals of everything committed and of the newest report.

    Args:
        connection: database with the audit's tables (:func:`scd_core.audit.query.connection.open_tables`).
    """
    values: dict[str, Any] = {}
    for name in ("totals_media", "totals_predictions", "totals_errors", "totals_slices"):
        values |= first_row(connection, name)
    return Totals(**values)

"""The totals of an audit, for the report's page and for the line that the command prints."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb

from scd_core.audit.errors.certificates import certificate_words, newest_certificate
from scd_core.audit.report.facts import need_facts
from scd_core.audit.report.queries import first_row, query
from scd_core.audit.report.rates import Rates, overall_rates
from scd_core.audit.wording import percent, plural

__all__ = ["Totals", "report_totals"]

_WHOLE = 0.995
"""Share of the names from which on a rate is of all of them."""


@dataclass(frozen=True)
class Totals:
    """Counts over the whole audit: each picture once, however many runs saw it, with its names by the newest run that named it.

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
    """Share of all events with a wrong name, 0-1; None where the labels give none (:mod:`scd_core.audit.report.rates`)."""
    error_low: float | None
    error_high: float | None
    """Interval of the rate, 0-1."""
    final_error_rate: float | None
    """The rate of the name after re-classification."""
    n_effective: float | None
    """Visits drawn at random that would give the rate as exactly."""
    rate_words: str
    """The rate in a sentence, or what is known in place of one."""
    certificate_words: str
    """Whether names are changed or only suggested, and on what labels."""
    n_systematic: int
    """Systematic errors that no simpler slice explains."""
    is_untried: bool
    """Some are of a cause that a better model mends, and no run of `trapaudit improve` tried the newest model or made it."""


def report_totals(connection: duckdb.DuckDBPyConnection, confidence: float = 0.95) -> Totals:
    """Totals of everything committed and of the newest report.

    Args:
        connection: database with the audit's tables (:func:`scd_core.audit.query.connection.open_tables`).
        confidence: level of the rate's interval.
    """
    values: dict[str, Any] = {}
    need_facts(connection)
    for name in ("totals", "totals_errors"):
        values |= first_row(connection, name)
    newest = first_row(connection, "models")
    model, is_without = newest.get("model_digest"), newest.get("is_without_network", False)
    values |= first_row(connection, "totals_slices", network=None if is_without else model)
    rates = overall_rates(connection, confidence)
    first, final = rates.first, rates.final
    return Totals(
        **values,
        error_rate=first.rate if first else None,
        error_low=first.low if first else None,
        error_high=first.high if first else None,
        final_error_rate=final.rate if final else None,
        n_effective=first.n_effective if first else None,
        rate_words=_rate_words(rates, values),
        certificate_words=_certificate_words(connection, model if is_without else None),
    )


def _certificate_words(connection: duckdb.DuckDBPyConnection, without_network: str | None) -> str:
    """What became of names after masks; why there are none of a model of which no network here gives names with gradients."""
    if without_network is not None:
        (why,) = query(connection, "no_masks", model=without_network)
        return f"not available: {why['reason']}"
    return certificate_words(newest_certificate(connection))


def _rate_words(rates: Rates, counts: dict[str, Any]) -> str:
    """What is known of all names, in words; no rate where only what was flagged is labelled."""
    n, wrong, rate = counts["n_labelled"], counts["n_errors"], rates.first
    if not n:
        return "no labels yet"
    if rate is None:
        which = "flagged names" if counts["has_no_control"] else "names"
        return (
            f"{wrong} of {n} {which} that were checked {plural(wrong, 'is', 'are')} wrong; how many of the others are wrong "
            "is not known: label some of the list"
        )
    words = f"{percent(rate.rate)} of events ({percent(rate.low)} to {percent(rate.high)})"
    if rates.share < _WHOLE:
        words += f"; that is of {percent(rates.share)} of the names: of the flags on the others, no picture is labelled"
    if rate.gain > 1:
        words += f"; with errors foretold from probabilities and masks, as exact as {rate.gain:.1f} times the labels"
    return words

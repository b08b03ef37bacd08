"""The HTML page from its content: one file, styles inside, no script, nothing fetched."""

from __future__ import annotations

import itertools
import shlex
from functools import cache
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from scd_core.audit import wording
from scd_core.audit.report.content import ReportContent
from scd_core.audit.slices.sentence import is_weighted
from scd_core.inputs.counts import COLUMNS

__all__ = ["live_page", "render"]

_IDLE_LINK = 'hidden data-at="'
_OPENING = '<html lang="en">'


def render(content: ReportContent) -> str:
    """The page; every text from the tables is escaped, for file names and labels are written by anyone."""
    style = resources.files("scd_core.audit.report").joinpath("report.css").read_text("utf-8")
    return (
        _environment()
        .get_template("report.html.j2")
        .render(content=content, style=Markup(style), next_number=itertools.count(1).__next__)
    )


def live_page(page: str, review: str) -> str:
    """A written page with its links into the review, for the server that serves both.

    The page on disk has no server to link to; it names commands instead.

    Args:
        page: text of ``report/index.html``; one of an earlier version, without such links, is given back as it is.
        review: address of a place in the review but for what is there, which a target_id or ``slice:`` and a slice_id
            completes, such as ``/?at=``; safe in an HTML attribute.
    """
    return page.replace(_OPENING, '<html lang="en" class="is-live">', 1).replace(_IDLE_LINK, f'href="{review}')


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("scd_core.audit.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "about": wording.about,
        "count": wording.count,
        "number": wording.number,
        "percent": wording.percent,
        "lift": wording.lift,
        "moment": wording.moment,
        "day": wording.day,
        "reason": wording.reason,
        "shell": shlex.quote,
    }
    environment.globals |= {
        "dict": dict,
        "causes": wording.CAUSE_WORDS,
        "count_columns": COLUMNS,
        "trends": wording.TREND_WORDS,
        "error_words": wording.ERROR_WORDS,
        "relation_words": wording.RELATION_WORDS,
        "strategies": wording.STRATEGY_WORDS,
        "status_words": wording.STATUS_WORDS,
        "is_weighted": is_weighted,
        "plural": wording.plural,
        "slice_title": wording.slice_title,
    }
    return environment

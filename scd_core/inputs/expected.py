"""Which individuals are expected where and when: a table that a team hands in."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, time
from pathlib import PurePosixPath

from scd_core.errors import InputError
from scd_core.inputs.counts import MAX_EXAMPLES, FileCounts
from scd_core.inputs.csv import Line, has_column, read_csv
from scd_core.inputs.text import read_text
from scd_core.storage import clean_url

__all__ = ["Expected", "ExpectedRow", "read_expected"]


@dataclass(frozen=True, slots=True)
class ExpectedRow:
    """One individual at one place for one period; what is None is not limited."""

    individual_id: str
    where: str
    """Its line, for messages."""
    camera_id: str | None = None
    site_id: str | None = None
    start: datetime | None = None
    """First moment, on the cameras' clocks."""
    end: datetime | None = None
    """Last moment."""


@dataclass(frozen=True)
class Expected:
    """Individuals that are expected, by place and time."""

    name: str
    """Name of the file they come from, for messages."""
    rows: tuple[ExpectedRow, ...]
    n_rows: int
    unusable: tuple[str, ...] = ()
    """Lines that are not used, each with the reason."""
    unnamed: tuple[str, ...] = ()
    """Lines of individuals that nothing here can name."""

    @property
    def digest(self) -> str:
        """Hash over what the rows mean; their order has no part in it."""
        lines = sorted(
            "\0".join(map(str, (one.individual_id, one.camera_id, one.site_id, one.start, one.end)))
            for one in self.rows
        )
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def of_names(self, names: Collection[str]) -> Expected:
        """The rows of individuals that can be named.

        Args:
            names: that the model, or the tool whose predictions are given, has.

        Raises:
            InputError: no row is of one of them.
        """
        known = set(names)
        kept = tuple(one for one in self.rows if one.individual_id in known)
        others = tuple(
            f"{one.where}: {one.individual_id[:60]!r} is no name of the model"
            for one in self.rows
            if one.individual_id not in known
        )
        if not kept:
            raise InputError(f"expected {self.name}: no row is of an individual that the model names; {others[0]}")
        return replace(self, rows=kept, unnamed=others)

    def counts(self, places: Iterable[tuple[str | None, str | None]]) -> FileCounts:
        """What became of the rows.

        Args:
            places: camera and site of the media of SOURCE.
        """
        known = set(places)
        cameras, sites = {camera for camera, _ in known}, {site for _, site in known}
        missing = []
        for one in self.rows:
            if one.camera_id is not None and one.camera_id not in cameras:
                missing.append(f"{one.where}: no picture is of camera {one.camera_id[:60]!r}")
            elif one.site_id is not None and one.site_id not in sites:
                missing.append(f"{one.where}: no picture is of site {one.site_id[:60]!r}")
            elif one.camera_id and one.site_id and (one.camera_id, one.site_id) not in known:
                missing.append(f"{one.where}: camera {one.camera_id[:60]!r} is not at site {one.site_id[:60]!r}")
        examples = (*self.unusable, *self.unnamed, *missing)
        return FileCounts(
            "expected",
            self.name,
            self.n_rows,
            joined=len(self.rows) - len(missing),
            waiting=len(missing),
            unusable=len(self.unusable) + len(self.unnamed),
            examples=examples[:MAX_EXAMPLES],
        )


def read_expected(url: str) -> Expected:
    """Expected individuals from a CSV table.

    Columns: `individual_id` (or `individual`), and any of `camera_id` (`camera`), `site_id` (`site`), `from` and `to`. An
    empty place or date does not limit the row. Dates are ``2026-03-01`` or ``2026-03-01 18:00``, on the cameras' clocks; a
    day without a time is whole.

    Args:
        url: fsspec URL or path.

    Raises:
        InputError: it cannot be read, names no individuals, or has no row that can be used; the message gives the first.
    """
    where = f"expected {clean_url(url)}"
    text = read_text(url, "expected")
    if not has_column(text, "individual_id", "individual"):
        raise InputError(
            f"{where}: line 1: no column individual_id; expected individual_id, camera_id, site_id, from, to"
        )
    rows: list[ExpectedRow] = []
    unusable: list[str] = []
    n_rows = 0
    for line in read_csv(text, where):
        n_rows += 1
        try:
            rows.append(_row(line))
        except ValueError as error:
            unusable.append(f"line {line.number}: {error}")
    if not rows:
        raise InputError(f"{where}: no row can be used" + (f"; {unusable[0]}" if unusable else ", since it has none"))
    return Expected(PurePosixPath(url).name, tuple(rows), n_rows, tuple(unusable))


def _row(line: Line) -> ExpectedRow:
    name = unicodedata.normalize("NFC", line.first("individual_id", "individual") or "")
    if not name:
        raise ValueError("individual_id is empty")
    start, end = (_moment(line[column], column) for column in ("from", "to"))
    if start is not None and end is not None and start > end:
        raise ValueError(f"from {line['from']!r} is later than to {line['to']!r}")
    place = line.first("camera_id", "camera"), line.first("site_id", "site")
    return ExpectedRow(name, f"line {line.number}", *place, start, end)


def _moment(text: str, column: str) -> datetime | None:
    """A day or a moment; the end of the day, where a day is the last one.

    >>> _moment("2026-03-01", "to") > _moment("2026-03-01 23:59", "to")
    True
    """
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is not None:
        raise ValueError(f"{column} {text[:40]!r} is no date such as 2026-03-01 or 2026-03-01 18:00")
    is_day = len(text) <= len("2026-03-01")
    return datetime.combine(found.date(), time.max) if is_day and column == "to" else found

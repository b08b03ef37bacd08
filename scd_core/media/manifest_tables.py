"""Rows of a manifest's tables as facts: a bad value costs its own row something, never the run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from scd_core.errors import InputError
from scd_core.inputs.addresses import is_of_other_machine
from scd_core.inputs.counts import MAX_EXAMPLES
from scd_core.inputs.csv import Line
from scd_core.inputs.joining import path_as_joined
from scd_core.media.times import Moment, parse_time

__all__ = ["ManifestFacts", "TableRows", "read_deployments", "read_media"]

_TRUE = frozenset({"true", "1", "yes", "t", "y"})
_FALSE = frozenset({"false", "0", "no", "f", "n"})
_MISSING = frozenset({"na", "nan", "null", "none"})
"""What other programs write for a number or a time that is not there."""

_DEPLOYMENT = ("deploymentID", "deployment_id")


@dataclass(frozen=True)
class ManifestFacts:
    """What a manifest holds about one medium or one deployment; None where it holds nothing."""

    site_id: str | None = None
    camera_id: str | None = None
    deployment_id: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    moment: Moment | None = None
    """When the picture was taken."""
    utc_offset_minutes: int | None = None
    """The clock's, in the whole deployment."""
    starts: datetime | None = None
    """When the deployment began, on the camera's clock, without a zone."""
    ends: datetime | None = None
    """When it ended."""
    has_timestamp_issues: bool = False
    """A person has noted that the clock was wrong (``timestampIssues``)."""

    def without_place(self) -> ManifestFacts:
        """The same, as far as it does not rest on where and when the deployment was."""
        return replace(self, site_id=None, latitude=None, longitude=None, starts=None, ends=None)


@dataclass
class TableRows:
    """Rows of a table that were read: how many, and what could not be used."""

    name: str
    prefix: str = ""
    """Taken off the reasons: the name of the manifest's folder in messages, which the counts have already."""
    rows: int = 0
    clean: Counter[str] = field(default_factory=Counter)
    """Deployment, or address of the medium -> rows of it in which all was understood."""
    not_understood: int = 0
    unusable: int = 0
    examples: list[str] = field(default_factory=list)
    elsewhere: dict[str, str] = field(default_factory=dict)
    """Path on another machine -> why it is not read; its row counts for a picture whose path ends so."""

    def give(self, example: str) -> None:
        """Keep one of the first reasons."""
        if len(self.examples) < MAX_EXAMPLES:
            self.examples.append(self.shorten(example))

    def shorten(self, example: str) -> str:
        """A reason without the name of the manifest's folder."""
        return example.replace(self.prefix, "") if self.prefix else example

    def lines(self, lines: Iterable[Line]) -> Iterator[Line]:
        """Lines of a table up to one that cannot be read at all, which ends it."""
        remaining = iter(lines)
        while True:
            try:
                line = next(remaining, None)
            except InputError as error:
                self.rows += 1
                self.unusable += 1
                self.give(f"{error}; nothing below it is read")
                return
            if line is None:
                return
            self.rows += 1
            yield line

    def add(self, key: str, problems: list[str]) -> None:
        """Count a row that is used, perhaps without some of its values."""
        if problems:
            self.not_understood += 1
            self.give("; ".join(problems))
        else:
            self.clean[key] += 1

    def refuse(self, why: str) -> None:
        """Count a row that is not used."""
        self.unusable += 1
        self.give(why)


def read_deployments(lines: Iterable[Line], table: TableRows) -> dict[str, ManifestFacts]:
    """Facts by deployment.

    A deployment whose line has a coordinate that is none, an end before its start, or that is there twice with different facts,
    has no place.

    Args:
        lines: of ``deployments.csv``.
        table: counts the rows.
    """
    found: dict[str, ManifestFacts] = {}
    for line in table.lines(lines):
        name = line.first(*_DEPLOYMENT)
        if name is None:
            table.refuse(f"{line.where} has no deploymentID")
            continue
        facts, problems = _facts(line)
        if name in found and found[name] != facts:
            problems.append(
                f"{line.where}: deploymentID {name!r} is there twice, with different values; it has no place"
            )
            facts = found[name].without_place()
        found[name] = facts
        table.add(name, problems)
    return found


def read_media(
    lines: Iterable[Line],
    deployments: Mapping[str, ManifestFacts] | None,
    table: TableRows,
    address_of: Callable[[str, str], str],
) -> dict[str, ManifestFacts]:
    """Facts by the full address of the medium, or by its path on another machine (`elsewhere` of the counts).

    Args:
        lines: of ``media.csv``.
        deployments: facts by deployment; None where no table of them was read.
        table: counts the rows.
        address_of: gives the address of a path, and raises InputError where it must not be read; its second argument is the
            line in messages.
    """
    found: dict[str, ManifestFacts] = {}
    for line in table.lines(lines):
        path = line.first("filePath", "file_path", "file")
        if path is None:
            table.refuse(f"{line.where} has no filePath")
            continue
        try:
            address = address_of(path, line.where)
        except InputError as error:
            if not is_of_other_machine(path):
                table.refuse(str(error))
                continue
            address = path_as_joined(path)
            table.elsewhere[address] = str(error)
        name = line.first(*_DEPLOYMENT)
        base = (deployments or {}).get(name or "")
        own, problems = (base, []) if base is not None else _facts(line)
        if name is not None and base is None and deployments is not None:
            problems = [*problems, f"{line.where}: deploymentID {name!r} is not in deployments.csv"]
        moment, wrong = _time(line, "timestamp", "captured_at")
        if wrong:
            problems = [*problems, wrong]
        found[address] = replace(own, moment=moment)
        table.add(address, problems)
    return found


def _facts(line: Line) -> tuple[ManifestFacts, list[str]]:
    """Facts of a line about its deployment, and what in it is not understood."""
    latitude, wrong_latitude = _degrees(line, "latitude", 90)
    longitude, wrong_longitude = _degrees(line, "longitude", 180)
    start, wrong_start = _time(line, "deploymentStart", "deployment_start", "start")
    end, wrong_end = _time(line, "deploymentEnd", "deployment_end", "end", is_end=True)
    issues = line.first("timestampIssues", "timestamp_issues") or ""
    facts = ManifestFacts(
        site_id=line.first("locationName", "location_name", "locationID", "location_id", "site_id"),
        camera_id=line.first("cameraID", "camera_id"),
        deployment_id=line.first(*_DEPLOYMENT),
        latitude=latitude,
        longitude=longitude,
        utc_offset_minutes=start.offset if start else None,
        starts=start.local if start else None,
        ends=end.local if end else None,
        has_timestamp_issues=bool(issues) and issues.lower() not in _FALSE | _MISSING,
    )
    problems = [wrong for wrong in (wrong_latitude, wrong_longitude) if wrong]
    if start and end and end.local < start.local:
        problems.append(f"{line.where}: the deployment ends before it starts; it has no place")
    if problems:
        facts = facts.without_place()
    problems += [wrong for wrong in (wrong_start, wrong_end) if wrong]
    if issues.lower() not in _TRUE | _FALSE | _MISSING | {""}:
        problems.append(f"{line.where}: timestampIssues {issues[:40]!r} is neither true nor false; it is taken as true")
    return facts, problems


def _time(line: Line, *columns: str, is_end: bool = False) -> tuple[Moment | None, str | None]:
    """A time of a table, or why it is none; a date alone is its first moment, or its last where `is_end`."""
    text = line.first(*columns)
    if text is None or text.lower() in _MISSING:
        return None, None
    if (moment := parse_time(text)) is not None:
        return moment, None
    if (day := parse_time(f"{text} 00:00")) is not None:
        return (Moment(day.local + timedelta(days=1)) if is_end else day), None
    return None, f"{line.where}: {columns[0]} {text!r} is no time"


def _degrees(line: Line, column: str, limit: int) -> tuple[float | None, str | None]:
    """A coordinate, or why it is none."""
    text = line[column]
    if not text or text.lower() in _MISSING:
        return None, None
    try:
        value = float(text)
    except ValueError:
        return None, f"{line.where}: {column} {text!r} is no number; the deployment has no place"
    if not -limit <= value <= limit:
        return None, f"{line.where}: {column} {text!r} is outside -{limit} to {limit}; the deployment has no place"
    return value, None

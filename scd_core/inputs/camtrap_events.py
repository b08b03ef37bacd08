"""Media of an event of a Camtrap DP package, for labels and detections alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, tzinfo

from scd_core.errors import InputError
from scd_core.inputs.counts import some_of
from scd_core.inputs.csv import Line
from scd_core.inputs.label import wall_clock

__all__ = ["Events"]

_SECOND = timedelta(seconds=1)


class Events:
    """Media by deployment, in which the ones of an event are looked up.

    Args:
        media: rows of the table of media.
        deployments: rows of the table of deployments. A time without an offset is the camera's own clock, whose offset is that
            of ``deploymentStart``; where neither is known, clocks are compared as they are written.

    Raises:
        InputError: a timestamp of the media is no ISO 8601 time.
    """

    def __init__(self, media: Iterable[Line], deployments: Iterable[Line] = ()) -> None:
        self._problems: list[str] = []
        self._offsets = _offsets(deployments, self._problems)
        self._completed: set[str] = set()
        self._media: dict[str, list[tuple[datetime, str]]] = defaultdict(list)
        self._sequences: dict[tuple[str, str], list[str]] = defaultdict(list)
        for row in media:
            time = self._time(row, "timestamp")
            if time is not None:
                self._media[row["deploymentID"]].append((time, row["filePath"]))
            if row["sequenceID"]:
                self._sequences[row["deploymentID"], row["sequenceID"]].append(row["filePath"])
        self.needs_deployments = False
        """An event was looked up whose media, or whose own times, have the offset of their deployment."""

    def notes(self) -> list[str]:
        """What of the deployments cannot be read, in a sentence; nothing where all can."""
        if not self._problems:
            return []
        return [
            f"clocks without an offset are compared as written where deployments are not read ({some_of(self._problems)})"
        ]

    def files(self, line: Line) -> list[str]:
        """Paths of an event's media: those between its start and end, or those of its sequence (Camtrap DP 0.1).

        Times whose offsets are known on both sides, as written or from the deployment, are compared as moments; else the
        clocks are compared as they are written. An end without fractions of a second lasts until the next second.

        Raises:
            InputError: the row has neither the two times nor a sequence, or one of them is no ISO 8601 time.
        """
        start, end = self._time(line, "eventStart"), self._time(line, "eventEnd")
        if start is None or end is None:
            found = self._sequences.get((line["deploymentID"], line["sequenceID"]), [])
            if not line["sequenceID"]:
                raise InputError(f"{line.where}: neither a mediaID nor eventStart and eventEnd")
            return found
        self.needs_deployments |= line["deploymentID"] in self._completed
        end = end if end.microsecond else end + _SECOND - timedelta(microseconds=1)
        return [
            file
            for time, file in self._media.get(line["deploymentID"], ())
            if _not_later(start, time) and _not_later(time, end)
        ]

    def _time(self, line: Line, column: str) -> datetime | None:
        """A time of a row, with the offset of its deployment where it has none of its own."""
        time, deployment = wall_clock(line[column], line.where, column), line["deploymentID"]
        if time is None or time.tzinfo is not None or deployment not in self._offsets:
            return time
        self._completed.add(deployment)
        return time.replace(tzinfo=self._offsets[deployment])


def _offsets(deployments: Iterable[Line], problems: list[str]) -> dict[str, tzinfo]:
    """Deployment -> offset of its camera's clock; a start that is no time, or has no offset, gives none.

    Args:
        deployments: rows of the table.
        problems: gets what cannot be read.
    """
    found: dict[str, tzinfo] = {}
    try:
        for line in deployments:
            try:
                start = wall_clock(line.first("deploymentStart", "start") or "", line.where, "deploymentStart")
            except InputError as error:
                problems.append(str(error))
                continue
            if start is not None and start.tzinfo is not None:
                found[line["deploymentID"]] = start.tzinfo
    except InputError as error:  # a table that cannot be read further gives no more offsets
        problems.append(str(error))
    return found


def _not_later(first: datetime, second: datetime) -> bool:
    if first.tzinfo and second.tzinfo:
        return first.astimezone(UTC) <= second.astimezone(UTC)
    return first.replace(tzinfo=None) <= second.replace(tzinfo=None)

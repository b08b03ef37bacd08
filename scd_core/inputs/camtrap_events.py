"""Media of an event of a Camtrap DP package, for labels and detections alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from scd_core.errors import InputError
from scd_core.inputs.csv import Line
from scd_core.inputs.label import wall_clock

__all__ = ["Events"]

_SECOND = timedelta(seconds=1)


class Events:
    """Media by deployment, in which the ones of an event are looked up.

    Args:
        media: rows of the table of media.

    Raises:
        InputError: a timestamp is no ISO 8601 time.
    """

    def __init__(self, media: Iterable[Line]) -> None:
        self._media: dict[str, list[tuple[datetime, str]]] = defaultdict(list)
        self._sequences: dict[tuple[str, str], list[str]] = defaultdict(list)
        for row in media:
            time = wall_clock(row["timestamp"], row.where, "timestamp")
            if time is not None:
                self._media[row["deploymentID"]].append((time, row["filePath"]))
            if row["sequenceID"]:
                self._sequences[row["deploymentID"], row["sequenceID"]].append(row["filePath"])

    def files(self, line: Line) -> list[str]:
        """Paths of an event's media: those between its start and end, or those of its sequence (Camtrap DP 0.1).

        Times with an offset on both sides are compared as moments; else the clocks are compared as they are written, since
        the one without an offset is the camera's own. An end without fractions of a second lasts until the next second.

        Raises:
            InputError: the row has neither the two times nor a sequence, or one of them is no ISO 8601 time.
        """
        start = wall_clock(line["eventStart"], line.where, "eventStart")
        end = wall_clock(line["eventEnd"], line.where, "eventEnd")
        if start is None or end is None:
            found = self._sequences.get((line["deploymentID"], line["sequenceID"]), [])
            if not line["sequenceID"]:
                raise InputError(f"{line.where}: neither a mediaID nor eventStart and eventEnd")
            return found
        end = end if end.microsecond else end + _SECOND - timedelta(microseconds=1)
        return [
            file
            for time, file in self._media.get(line["deploymentID"], ())
            if _not_later(start, time) and _not_later(time, end)
        ]


def _not_later(first: datetime, second: datetime) -> bool:
    if first.tzinfo and second.tzinfo:
        return first.astimezone(UTC) <= second.astimezone(UTC)
    return first.replace(tzinfo=None) <= second.replace(tzinfo=None)

"""Relations between media: duplicates by content, clocks that run backwards, and events of frames close in time."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from datetime import datetime, timedelta
from itertools import pairwise
from operator import itemgetter
from pathlib import PurePosixPath

from scd_core.names import MediaStatus, TimeSource
from scd_core.tables.rows import MediaRow

__all__ = ["assign_events", "is_timed", "mark_clocks", "mark_duplicates"]

_NUMBERED = re.compile(r"(.*?)(\d{3,5})(\.[^.]*)?$")
_OF_CAMERA = (TimeSource.EXIF, TimeSource.EXIF_CREATED)
_UNTIMED = "untimed-"
"""How the event_id of frames without a time begins."""

_NEXT = 10
"""Files between two numbers that still count as neighbours: some were deleted."""


def mark_duplicates(rows: list[MediaRow]) -> list[MediaRow]:
    """Mark media whose content another one of the batch has: the first in file order keeps ``ok``.

    Args:
        rows: rows of the table ``media``, of a whole batch.

    Returns:
        New rows in the same order; duplicates have status ``duplicate``, in ``duplicate_of`` the media_id of the first,
        and a reason. Rows that are not ``ok`` stay as they are.
    """
    first: dict[str, MediaRow] = {}
    for row in sorted(rows, key=lambda row: row["file"]):
        if row["status"] == MediaStatus.OK and (content := row["content_sha256"]) is not None:
            first.setdefault(content, row)
    marked = []
    for row in rows:
        original = first.get(row.get("content_sha256") or "")
        if row["status"] == MediaStatus.OK and original is not None and original["media_id"] != row["media_id"]:
            row = row | {
                "status": MediaStatus.DUPLICATE,
                "duplicate_of": original["media_id"],
                "failure_reason": f"same content as {original['file']}",
            }
        marked.append(row)
    return marked


def mark_clocks(rows: list[MediaRow]) -> list[MediaRow]:
    """Note where a camera's clock runs backwards: of two files that a camera numbered in a row the later is the earlier.

    The time itself is left as it is, since nobody knows which of the two is right. Numbers are those at the end of a name
    (``IMG_0123.JPG``) in one folder and with one beginning; one that starts again is no sign. Only times from EXIF count.

    Args:
        rows: rows of the table ``media``.

    Returns:
        New rows in the same order, with ``clock_doubt`` in words on the file at which the clock went back; where there is one
        already, it stays.
    """
    series: dict[tuple[str, str], list[tuple[int, datetime, MediaRow]]] = defaultdict(list)
    for row in rows:
        path = PurePosixPath(row["file"])
        numbered = _NUMBERED.match(path.name)
        moment = row.get("captured_at")
        if numbered and moment is not None and row.get("captured_at_source") in _OF_CAMERA:
            series[str(path.parent), numbered[1]].append((int(numbered[2]), moment, row))
    doubts: dict[str, str] = {}
    for files in series.values():
        files.sort(key=lambda one: (one[0], one[2]["file"]))
        for (number, earlier, before), (following, later, after) in pairwise(files):
            back = earlier - later
            if back >= timedelta(seconds=1) and 0 < following - number <= _NEXT:
                doubts[after["media_id"]] = f"the clock runs backwards: {back} earlier than {before['file']}"
    return [row | {"clock_doubt": row.get("clock_doubt") or doubts.get(row["media_id"])} for row in rows]


def assign_events(rows: list[MediaRow], gap_seconds: float) -> list[MediaRow]:
    """Group frames of one deployment into events, by the time since the frame before.

    Frames of one burst are one encounter, not independent proofs. Nobody knows which frames without a time belong together, so
    all of one deployment and folder are one event (:func:`is_timed`): rates count them once at most, and no name is expected to
    be common to them. A medium without a deployment is grouped within its camera, or else within its folder. Times of a place
    that have different offsets from UTC, and all of them one, are compared in UTC.

    Args:
        rows: rows of the table ``media``.
        gap_seconds: a frame later than this after the one before begins a new event (s).

    Returns:
        New rows in the same order with ``event_id``, which depends on the place and the event's first frame alone.
    """
    events: dict[str, str] = {}
    place: tuple[str, ...] | None = None
    last: datetime | None = None
    event_id = ""
    with_time = [(_place(row), moment, row) for row in rows if (moment := row.get("captured_at")) is not None]
    offsets: dict[tuple[str, ...], set[int | None]] = defaultdict(set)
    for where, _, row in with_time:
        offsets[where].add(row.get("utc_offset_minutes"))
    in_utc = {where for where, found in offsets.items() if len(found) > 1 and None not in found}
    timed = [
        (where, _in_utc(moment, row) if where in in_utc else moment, row["file"], row["media_id"])
        for where, moment, row in with_time
    ]
    for where, moment, _file, media_id in sorted(timed, key=itemgetter(0, 1, 2)):
        if where != place or last is None or (moment - last).total_seconds() > gap_seconds:
            place = where
            event_id = _digest(*place, moment.isoformat())
        last = moment
        events[media_id] = event_id
    return [row | {"event_id": events.get(row["media_id"]) or _untimed_event(row)} for row in rows]


def is_timed(event_id: str | None) -> bool:
    """Whether the frames of an event are close in time; else they are those of a folder whose time is unknown."""
    return event_id is not None and not event_id.startswith(_UNTIMED)


def _in_utc(moment: datetime, row: MediaRow) -> datetime:
    return moment - timedelta(minutes=row.get("utc_offset_minutes") or 0)


def _untimed_event(row: MediaRow) -> str:
    return _UNTIMED + _digest(*_place(row), str(PurePosixPath(row["file"]).parent))


def _place(row: MediaRow) -> tuple[str, ...]:
    camera = row.get("camera_id")
    if deployment := row.get("deployment_id"):
        return ("deployment", camera or "", deployment)
    if camera:
        return ("camera", camera)
    return ("folder", str(PurePosixPath(row["file"]).parent))


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:24]

"""Times as cameras and programs write them: read where they can be read in one way only."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

__all__ = ["Moment", "is_blank_time", "parse_offset", "parse_time"]

_TIME = re.compile(
    r"(?P<year>\d{4})\s*[:/.-]\s*(?P<month>\d{1,2})\s*[:/.-]\s*(?P<day>\d{1,2})"
    r"(?:\s*[T,_-]\s*|\s+)(?P<hour>\d{1,2})\s*[:.]\s*(?P<minute>\d{1,2})"
    r"(?:\s*[:.]\s*(?P<second>\d{1,2})(?:[.,](?P<fraction>\d{1,9}))?)?"
    r"\s*(?P<half>[AP]\.?M\.?)?\s*(?P<zone>Z|(?:UTC|GMT)?[+-]\d{1,2}:?\d{2}|(?:UTC|GMT)?[+-]\d{1,2}|UTC|GMT)?(?:\s*DST)?",
    re.IGNORECASE,
)
_COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2})[T _]?(\d{2})(\d{2})(\d{2})(?=\D|$)")
_OFFSET = re.compile(r"(?:UTC|GMT)?([+-])(\d{1,2}):?(\d{2})?", re.IGNORECASE)
_BLANK = re.compile(r"[\s0:/.\-TZ+]*", re.IGNORECASE)
_LARGEST_OFFSET = 14 * 60
_TWELVE = 12


@dataclass(frozen=True)
class Moment:
    """A time on the camera's clock."""

    local: datetime
    """Without a zone."""
    offset: int | None = None
    """The clock's offset from UTC (minutes), where it is written with the time."""

    @property
    def utc(self) -> datetime | None:
        """The time in UTC, without a zone; None where the offset is not known."""
        return None if self.offset is None else self.local - timedelta(minutes=self.offset)


def is_blank_time(text: str) -> bool:
    """Whether a text holds no time at all: empty, zeros and separators only (``0000:00:00 00:00:00``)."""
    return _BLANK.fullmatch(text) is not None


def parse_time(text: str) -> Moment | None:
    """A time that is written year first, to the minute or finer; None for everything else.

    Separators of the date may be ``:``, ``-``, ``/`` or ``.``; blanks may stand in place of leading zeros; fractions, ``AM`` and
    ``PM``, an offset (``Z``, ``UTC``, ``+HH:MM``, ``+HHMM``, ``+HH``, ``UTC+HH``) and the word ``DST``
    may follow. ``DST`` changes nothing: the offset written beside it is the clock's
    own. A date with the day or the month first is not read, since nobody knows which is which.

    >>> parse_time("2007/06/30 18:45:17"), parse_time("30/06/2007 18:45:17")
    (Moment(local=datetime.datetime(2007, 6, 30, 18, 45, 17), offset=None), None)
    >>> parse_time("2018:05:10 13:23:29+02:00 DST").offset
    120
    """
    match = _TIME.fullmatch(_COMPACT.sub(r"\1-\2-\3 \4:\5:\6", text.strip(), count=1))
    if match is None:
        return None
    year, month, day, hour, minute, second = (
        int(match[part] or 0) for part in ("year", "month", "day", "hour", "minute", "second")
    )
    if half := match["half"]:
        if not 1 <= hour <= _TWELVE:
            return None
        hour = hour % _TWELVE + (_TWELVE if half[0] in "Pp" else 0)
    zone = match["zone"]
    offset = parse_offset(zone) if zone else None
    if zone and offset is None:
        return None
    try:
        local = datetime(year, month, day, hour, minute, second)
    except ValueError:
        return None
    return Moment(local.replace(microsecond=int((match["fraction"] or "0")[:6].ljust(6, "0"))), offset)


def parse_offset(text: str) -> int | None:
    """Minutes east of UTC of ``+HH:MM``, ``+HHMM``, ``+HH``, each also behind ``UTC``; ``Z``, ``UTC``, ``GMT``.

    None for anything else.

    >>> parse_offset("-07:00"), parse_offset("Z"), parse_offset("")
    (-420, 0, None)
    """
    if text.upper() in ("Z", "UTC", "GMT"):
        return 0
    match = _OFFSET.fullmatch(text.strip())
    if match is None or int(match[3] or 0) > 59:
        return None
    minutes = int(match[2]) * 60 + int(match[3] or 0)
    if minutes > _LARGEST_OFFSET:
        return None
    return -minutes if match[1] == "-" else minutes

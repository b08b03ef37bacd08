"""Which time a picture gets where EXIF, a manifest and a file's name give one each, and why that is in doubt."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from scd_core.media.manifest import ManifestFacts
from scd_core.media.metadata import ExifTime
from scd_core.media.times import Moment
from scd_core.names import TimeSource

__all__ = ["ChosenTime", "choose_time"]

_SAME = timedelta(seconds=2)
"""Times this close are one: a table may round or cut fractions."""

_YEARS = timedelta(days=360)
"""A jump of this length is no slip of a clock but a clock that was set wrong."""

_MARGIN = timedelta(days=1)
"""Pictures of the team itself, before and after a deployment, and time zones that are not written."""

_FIRST_YEAR = 1990
_SECOND_RESET = (2000, 1)


@dataclass(frozen=True)
class ChosenTime:
    """The time of a picture."""

    captured_at: datetime | None
    """On the camera's clock, without a zone."""
    source: TimeSource | None
    utc_offset_minutes: int | None
    doubt: str | None = None
    """In words; None where there is none."""


def choose_time(exif: ExifTime, facts: ManifestFacts, by_name: datetime | None, now: datetime) -> ChosenTime:
    """The time of a picture.

    EXIF's, else the manifest's, else the one in the file's name. Where EXIF and the manifest contradict each other, the
    manifest's counts if its deployment has ``timestampIssues``, or if EXIF's is impossible (before the deployment, after it,
    after today, of a clock that was reset, or a year and more away) and the manifest's is not; else EXIF's counts, and is
    in doubt. Whichever is taken is in doubt if it is impossible, or if its deployment has ``timestampIssues`` and the manifest
    has no other time. An offset from UTC goes with the time that it was written with; the deployment's fills in where there is
    none.

    Args:
        exif: what EXIF has.
        facts: what the manifest has of the picture and its deployment.
        by_name: the time in the file's name.
        now: the present, in UTC, without a zone.
    """
    chosen = _choose(exif, facts, by_name, now)
    if chosen.captured_at is None or chosen.doubt is not None:
        return chosen
    return replace(chosen, doubt=_doubt_of(chosen.captured_at, chosen.source, exif, facts, now))


def _choose(exif: ExifTime, facts: ManifestFacts, by_name: datetime | None, now: datetime) -> ChosenTime:
    """The time of a picture, with a doubt where two contradict each other."""
    given, taken, default = facts.moment, exif.moment, facts.utc_offset_minutes
    if taken is None:
        if given is not None:
            return ChosenTime(given.local, TimeSource.MANIFEST, default if given.offset is None else given.offset)
        return ChosenTime(by_name, TimeSource.FILENAME if by_name is not None else None, default)
    offset = default if taken.offset is None else taken.offset
    if given is None:
        return ChosenTime(taken.local, exif.source, offset)
    if abs(taken.local - given.local) <= _SAME:
        known = given.offset if taken.offset is None else taken.offset
        return ChosenTime(taken.local, exif.source, default if known is None else known)
    if _is_same_instant(taken, given, offset):
        return ChosenTime(taken.local, exif.source, offset)
    if facts.has_timestamp_issues or (
        (_impossible(taken.local, facts, now) or abs(taken.local - given.local) >= _YEARS)
        and not _impossible(given.local, facts, now)
    ):
        return ChosenTime(given.local, TimeSource.MANIFEST, default if given.offset is None else given.offset)
    doubt = f"EXIF has {taken.local:%Y-%m-%d %H:%M:%S}, the manifest {given.local:%Y-%m-%d %H:%M:%S}; EXIF's is taken"
    return ChosenTime(taken.local, exif.source, offset, doubt)


def _is_same_instant(taken: Moment, given: Moment, offset: int | None) -> bool:
    """Whether two times differ by their zones alone; `offset` is that of `taken`, or of its deployment."""
    if given.utc is None or offset is None:
        return False
    return abs(taken.local - timedelta(minutes=offset) - given.utc) <= _SAME


def _doubt_of(
    time: datetime, source: TimeSource | None, exif: ExifTime, facts: ManifestFacts, now: datetime
) -> str | None:
    """Why a time is in doubt that no other contradicts: it is impossible, or nobody corrected a clock that was wrong."""
    is_manifests = source is TimeSource.MANIFEST
    if why := _impossible(time, facts, now, _MARGIN):
        if is_manifests and exif.moment is not None:
            beside = f"it is the manifest's, and EXIF has {exif.moment.local:%Y-%m-%d %H:%M:%S}"
        else:
            beside = "no other is given" if is_manifests or facts.moment is None else "the manifest has the same"
        return f"the time is {why}; {beside}"
    if facts.has_timestamp_issues and not is_manifests:
        return "the deployment has timestampIssues, and the manifest has no other time of this picture"
    return None


def _impossible(moment: datetime, facts: ManifestFacts, now: datetime, margin: timedelta = timedelta(0)) -> str | None:
    """Why no picture can have been taken then, in words; None where one can."""
    if moment > now + _MARGIN:
        return f"after today ({now:%Y-%m-%d})"
    if moment.year < _FIRST_YEAR or (moment.year, moment.month) == _SECOND_RESET:
        return "that of a clock that was reset"
    if facts.starts is not None and moment < facts.starts - margin:
        return f"before the deployment began ({facts.starts:%Y-%m-%d %H:%M})"
    if facts.ends is not None and moment > facts.ends + margin:
        return f"after the deployment ended ({facts.ends:%Y-%m-%d %H:%M})"
    return None

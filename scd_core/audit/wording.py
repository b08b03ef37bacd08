"""Numbers, times and the fixed words of the tables in plain English."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from scd_core.audit.errors.suspicion import SUSPICION_REASONS
from scd_core.label_names import LabelStatus
from scd_core.names import (
    UNKNOWN,
    Cause,
    ErrorType,
    FlagReason,
    MediaStatus,
    PredictionStatus,
    Relation,
    Strategy,
    Stratum,
    TimeSource,
    Trend,
)

__all__ = [
    "CAUSE_WORDS",
    "ERROR_WORDS",
    "LABEL_WORDS",
    "PREDICTION_WORDS",
    "REASON_WORDS",
    "RELATION_WORDS",
    "STATUS_WORDS",
    "STRATEGY_WORDS",
    "TIME_WORDS",
    "TREND_WORDS",
    "about",
    "count",
    "day",
    "day_of_month",
    "lift",
    "moment",
    "named_words",
    "number",
    "percent",
    "plural",
    "reason",
    "slice_title",
    "week_words",
    "where_taken",
]

CAUSE_WORDS: Mapping[str, tuple[str, str]] = {
    Cause.BACKGROUND: ("background", "the evidence lies outside the animal, and the name depends on it"),
    Cause.OVERLAY: ("info strip", "the evidence lies on the burned-in strip, and the name depends on it"),
    Cause.PLACE: ("place", "several individuals are given one name there, more often than elsewhere"),
    Cause.CONFUSABLE_PAIR: (
        "look-alikes",
        "the model nearly gave the true individual's name, or mixes the two up at several places",
    ),
    Cause.IMAGE_QUALITY: (
        "picture quality",
        "the pictures are blurred or dark, for their camera or against other cameras",
    ),
    Cause.FLANK: ("one flank", "one side of the animal gets more wrong names than the other"),
    Cause.LABEL_SUSPECT: ("label in doubt", "at the same place, other people name the same individuals differently"),
    Cause.UNEXPLAINED: ("unexplained", "no rule explains these errors"),
}
"""Cause -> short name, what it means."""

TREND_WORDS: Mapping[str, tuple[str, str]] = {
    Trend.NEW: ("new", "announced now: the labels prove it however often one looks, and did not before"),
    Trend.GROWING: ("growing", "more errors than in the report before"),
    Trend.STEADY: ("steady", "as in the report before"),
    Trend.SHRINKING: ("shrinking", "fewer errors than in the report before"),
    Trend.GONE: ("gone", "was systematic in the report before and is no longer"),
}
"""Trend -> short name, what it means."""

ERROR_WORDS: Mapping[str, tuple[str, str]] = {
    ErrorType.SHIFT: ("mix-up", "a known individual with the name of another one"),
    ErrorType.SPLIT: ("ghost", "a known individual, or no animal, called unknown"),
    ErrorType.COMBINATION: ("false match", "an unknown individual, or no animal, with a known name"),
    ErrorType.EXCLUSION: ("no name", "a usable picture that got no name"),
    ErrorType.CORRECT: ("right", "the name agrees with the label"),
}
"""Type of error -> short name, what it means."""

RELATION_WORDS: Mapping[str, str] = {
    Relation.SAME: "the same in other words",
    Relation.LESS_EXACT: "less exact than the label",
    Relation.MORE_EXACT: "more exact than the label",
    Relation.SPECIES: "of one species or group",
    Relation.GENUS: "of one genus",
    Relation.FAMILY: "of one family",
    Relation.ORDER: "of one order",
    Relation.CLASS: "of one class",
    Relation.APART: "of no common rank",
}
"""Relation of a name that was given to the true one -> words behind "is" or "are"."""

REASON_WORDS: Mapping[str, str] = SUSPICION_REASONS | {
    FlagReason.KNOWN_CONFUSION: "the name is half of a known mix-up",
    FlagReason.NOT_EXPECTED: "it looks most like an individual that is not expected there",
    FlagReason.UNKNOWN: "called unknown",
    FlagReason.EVIDENCE_OUTSIDE: "the name rests on what is around the animal",
    FlagReason.LOW_PROBABILITY: "the model was not sure",
    FlagReason.SMALL_MARGIN: "two names came close",
    FlagReason.CONTROL: "random control",
    FlagReason.CUT_BY_BUDGET: "flagged, but beyond the batch's budget",
    Stratum.UNFLAGGED: "nothing flagged it",
    Stratum.FLAGGED: "flagged",
}
"""Reason of triage or suspicion, or stratum of what to label next -> words."""

STATUS_WORDS: Mapping[str, str] = {
    MediaStatus.OK: "usable",
    MediaStatus.CORRUPT: "the file is damaged",
    MediaStatus.EMPTY: "the file has no content",
    MediaStatus.UNSUPPORTED: "not a picture, or not in a format that is read",
    MediaStatus.DUPLICATE: "the same content as another picture",
    MediaStatus.MISSING: "listed, but not there when it was read",
}
"""Status of a medium -> words."""

TIME_WORDS: Mapping[str, str] = {
    TimeSource.EXIF: "from EXIF",
    TimeSource.EXIF_CREATED: "from EXIF's CreateDate",
    TimeSource.MANIFEST: "from the manifest",
    TimeSource.FILENAME: "from the file's name",
}
"""Source of a capture time -> words."""

PREDICTION_WORDS: Mapping[str, str] = {
    PredictionStatus.OK: "named",
    PredictionStatus.NO_ANIMAL: "no name: detections were given, none of an animal",
    PredictionStatus.NO_DETECTIONS: "no name: the detections have no entry for it",
    PredictionStatus.NOT_NAMED: "no name: the predictions have none for it",
    PredictionStatus.FAILED: "no name: it failed",
}
"""Status of a prediction -> words."""

LABEL_WORDS: Mapping[str, str] = {
    LabelStatus.NEWEST: "counts",
    LabelStatus.SUPERSEDED: "does not count: a later label does",
    LabelStatus.CONFLICTING: "does not count: another label of this moment differs",
    LabelStatus.AMBIGUOUS: "does not count: its file fits several pictures",
    LabelStatus.WAITING: "waits for its picture",
    LabelStatus.SEVERAL: "counts as one of several animals",
    LabelStatus.UNDONE: "does not count: its import was undone",
}
"""Status of a label -> whether it counts."""

STRATEGY_WORDS: Mapping[str, str] = {
    Strategy.EARLY_BLUR: "everything but the evidence blurred",
    Strategy.EARLY_MEAN: "everything but the evidence in one colour",
    Strategy.EARLY_INSIDE: "evidence outside the animal blurred",
    Strategy.EARLY_REMOVED: "all evidence blurred",
    Strategy.MASK_CROP: "cropped to the evidence",
    Strategy.BOX_CROP: "cropped to the animal's box",
    Strategy.TIGHT_CROP: "cropped to the animal's box, without a margin",
    Strategy.WIDE_CROP: "cropped to more of the evidence",
    Strategy.AWAY_CROP: "cropped beside the evidence",
    Strategy.CENTER_CROP: "cropped to the centre (control)",
    Strategy.LATE: "only features under the evidence counted",
    Strategy.LATE_BOX: "only features in the animal's box counted",
    Strategy.FUSED: "all views together",
}
"""Strategy -> the view that was classified."""

_SLICE_WORDS = {
    "camera_id": "camera {}",
    "deployment_id": "deployment {}",
    "true_id": "{}",
    "predicted_id": "others called {}",
    "light": "{}",
    "flank": "{} flank",
    "quality": "{} pictures",
    "model_digest": "model {:.12}",
    "labelled_by": "labelled by {}",
}
_LIGHT_WORDS = {
    "infrared": "infrared pictures",
    "day": "daylight pictures",
    "night": "night pictures without infrared",
}


_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December",
)  # fmt: skip


def count(value: float | None) -> str:
    """A whole number with thin spaces between thousands; a dash for none.

    >>> count(1234567) == "1\\u202f234\\u202f567"
    True
    """
    return "–" if value is None else f"{int(value):,}".replace(",", "\u202f")


def about(value: int | None) -> str:
    """A whole number in two figures, rounded up; a dash for none.

    >>> about(7), about(41), about(1234).replace("\u202f", "_"), about(None)
    ('7', '41', '1_300', '–')
    """
    if not value:
        return count(value)
    step = 10 ** max(0, len(str(int(value))) - 2)
    return count(-(-int(value) // step) * step)


def number(value: float | None, digits: int = 2) -> str:
    """A number with some digits after the point; a dash for none or not finite.

    >>> number(0.12345), number(None), number(float("inf"))
    ('0.12', '–', '–')
    """
    return "–" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def named_words(name: str | None, probability: float | None) -> str:
    """A name with its probability; `unknown` alone, since the probability beside it is that of the likeliest known name.

    >>> [named_words(name, 0.96).replace("\\u202f", "_") for name in ("Luna", "unknown")]
    ['Luna 96_%', 'unknown']
    """
    return str(name) if name == UNKNOWN else f"{name} {percent(probability)}"


def percent(share: float | None) -> str:
    """A share as percent, with a digit after the point below ten and near the ends; a dash for none.

    >>> [percent(share).replace("\\u202f", "_") for share in (0.788, 0.042, 0.9996, 0.0, None)]
    ['79_%', '4.2_%', '>_99.9_%', '0_%', '–']
    """
    if share is None or not math.isfinite(share):
        return "–"
    value = 100 * share
    if value in (0, 100):
        return f"{value:.0f}\u202f%"
    if value > 99.9:
        return ">\u202f99.9\u202f%"
    if value < 0.1:
        return "<\u202f0.1\u202f%"
    text = f"{value:.1f}" if value < 9.95 or value > 99 else f"{value:.0f}"
    return f"{text.removesuffix('.0')}\u202f%"


def lift(value: float | None) -> str:
    """How many times a rate exceeds its baseline; words where the baseline has no error.

    >>> lift(23.14), lift(None), lift(float("inf"))
    ('× 23.1', 'no error elsewhere', 'no error elsewhere')
    """
    return f"× {value:.1f}" if value is not None and math.isfinite(value) else "no error elsewhere"


def moment(value: datetime | None) -> str:
    """Date and time to the minute; a dash for none."""
    return "–" if value is None else value.strftime("%Y-%m-%d %H:%M")


def where_taken(row: Mapping[str, Any]) -> str:
    """Camera and time of a picture.

    Args:
        row: `camera_id` and `captured_at`, each None where it is not known.

    >>> where_taken({"camera_id": "C07", "captured_at": datetime(2026, 3, 1, 4, 30)})
    'camera C07, 2026-03-01 04:30'
    >>> where_taken({"camera_id": None, "captured_at": None})
    'camera unknown, time unknown'
    """
    place = f"camera {row['camera_id']}" if row["camera_id"] else "camera unknown"
    return f"{place}, {moment(row['captured_at']) if row['captured_at'] else 'time unknown'}"


def day(value: date | datetime | None) -> str:
    """Date; a dash for none."""
    return "–" if value is None else value.strftime("%Y-%m-%d")


def day_of_month(value: date) -> str:
    """Day and month, the month in words."""
    return f"{value.day} {_MONTHS[value.month - 1]}"


def week_words(week: str) -> str:
    """A week in words.

    >>> week_words("2026-W16")
    'the week of 13 April 2026'
    """
    monday = datetime.strptime(f"{week}-1", "%G-W%V-%u")
    return f"the week of {day_of_month(monday)} {monday.year}"


def reason(name: str) -> str:
    """A reason of triage or suspicion in words."""
    return REASON_WORDS.get(name, name.replace("_", " "))


def plural(n: int, one: str, many: str) -> str:
    """The word for one thing or for several."""
    return one if n == 1 else many


def slice_title(keys: Mapping[str, str]) -> str:
    """What a slice is about, in words.

    >>> slice_title({"camera_id": "C07", "light": "infrared"})
    'Camera C07, infrared pictures'
    >>> slice_title({"pair": "Luna -> Nyx", "hour": "07h"})
    'Luna called Nyx, from 07:00 to 07:59'
    """
    title = ", ".join(_part(key, value) for key, value in keys.items()) or "all pictures"
    # A name is written as it is given.
    return title if next(iter(keys), None) in ("true_id", "pair") else title[0].upper() + title[1:]


def _part(key: str, value: str) -> str:
    if key == "pair":
        return " called ".join(value.split(" -> ", 1))
    if key == "hour":
        hour = value.removesuffix("h")
        return f"from {hour}:00 to {hour}:59"
    if key == "week":
        return f"in {week_words(value)}"
    if key == "light":
        value = _LIGHT_WORDS.get(value, value)
    return _SLICE_WORDS.get(key, key + " {}").format(value)

"""What answers changed: slices counted before and after, from the report's errors and from batches that were answered, anew."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from scd_core.audit.errors.derive import derive_errors
from scd_core.audit.review.frames import Frames, Row
from scd_core.audit.slices.data import PAIR, SliceData, slice_data, slice_members
from scd_core.audit.slices.needed import labels_to_measure
from scd_core.audit.wording import slice_title
from scd_core.config import AuditConfig

__all__ = ["Changes", "SliceChange", "changed_slices", "errors_after"]

_MOST_OPEN = 5
"""Slices that are not systematic and are followed, those nearest to it."""


@dataclass(frozen=True)
class SliceChange:
    """A slice whose labelled visits are others now."""

    slice_id: str
    title: str
    before: tuple[int, int]
    """Visits that err, and all labelled visits."""
    after: tuple[int, int]
    labels_needed: int | None
    """Labelled visits until it is settled, if it goes on as it is; None where 10 000 are not enough."""
    is_systematic: bool
    """By the report."""

    @property
    def is_settled(self) -> bool:
        """Whether the rate of a systematic slice is known to within 0.1; whether another one is systematic, a report decides."""
        return self.is_systematic and self.labels_needed == 0

    @property
    def sentence(self) -> str:
        """The change in words.

        >>> SliceChange("5e1f", "Camera C05, called Nyx", (8, 12), (19, 23), 0, True).sentence
        'Camera C05, called Nyx: from 8 of 12 to 19 of 23, settled'
        >>> SliceChange("5e1f", "Camera C05, called Nyx", (8, 12), (9, 14), 31, True).sentence
        'Camera C05, called Nyx: from 8 of 12 to 9 of 14, 31 more until it is settled'
        >>> SliceChange("5e1f", "Camera C05, called Nyx", (2, 4), (3, 5), 6, False).sentence
        'Camera C05, called Nyx: from 2 of 4 to 3 of 5, 6 more until its test passes if it goes on so'
        """
        (x, n), (x_now, n_now) = self.before, self.after
        text = f"{self.title}: from {x} of {n} to {x_now} of {n_now}"
        if self.is_settled:
            return f"{text}, settled"
        if self.labels_needed:
            until = "it is settled" if self.is_systematic else "its test passes if it goes on so"
            return f"{text}, {self.labels_needed} more until {until}"
        return f"{text}; the next report decides" if self.labels_needed == 0 else text

    def as_json(self) -> dict[str, Any]:
        """What the interface gives of it."""
        names = ("n_errors", "n_events")
        return {
            "slice_id": self.slice_id,
            "title": self.title,
            "before": dict(zip(names, self.before, strict=True)),
            "after": dict(zip(names, self.after, strict=True)),
            "labels_needed": self.labels_needed,
            "is_settled": self.is_settled,
            "sentence": self.sentence,
        }


class Changes:
    """What the answers of a review changed since it was opened; for several threads at once.

    Args:
        frames: the audit.
        files: files of `labels` that count when the review is opened.
        batches: gives the batches with answers that the report does not know by then.
    """

    def __init__(self, frames: Frames, files: Sequence[str], batches: Callable[[], Iterable[str]]) -> None:
        self._frames = frames
        self._files = list(files)
        self._batches = batches
        self._lock = threading.Lock()
        self._before: pa.Table | None = None
        self._known: tuple[list[str], list[SliceChange]] = self._files, []

    def now(self, files: Sequence[str], batches: Callable[[], Iterable[str]]) -> list[SliceChange]:
        """The slices that are others now; looked for once for the same files.

        Args:
            files: files of `labels` that count now.
            batches: gives the batches with answers that the report does not know.
        """
        with self._lock:
            if self._known[0] != list(files):
                if self._before is None:
                    self._before = errors_after(self._frames, self._batches(), self._files)
                after = errors_after(self._frames, batches(), files)
                self._known = list(files), changed_slices(self._frames.slices(), self._before, after)
            return self._known[1]


def errors_after(frames: Frames, batch_keys: Iterable[str], label_files: Sequence[str]) -> pa.Table:
    """Labelled rows of ``errors`` as a report would derive them now: of some batches anew, of the others from the newest one.

    Args:
        frames: the audit.
        batch_keys: batches with answers that the report does not know.
        label_files: files of `labels` that count.

    Returns:
        Rows of ``errors``; weights, causes and suspicions of the batches that were derived alone are not those of a report.
    """
    wanted = sorted(set(batch_keys))
    reported = frames.reported_errors()
    if not wanted:
        return reported
    with frames.open_batches(wanted, label_files) as connection:
        fresh = derive_errors(connection, _config(frames, wanted[-1]))
    fresh = fresh.filter(pc.is_in(fresh["batch_key"], pa.array(wanted)))
    others = reported.filter(pc.invert(pc.is_in(reported["batch_key"], pa.array(wanted))))
    return pa.concat_tables([others, fresh.filter(fresh["is_labelled"])])


def changed_slices(slices: Sequence[Row], before: pa.Table, after: pa.Table) -> list[SliceChange]:
    """The slices of a report whose labelled visits, or visits that err, are others now; the most significant first.

    Args:
        slices: rows of ``error_slices``, the most significant first; systematic ones of their own are followed, and of the others
            those nearest to it.
        before: labelled rows of ``errors``.
        after: the same, now.
    """
    top = [row for row in slices if row["folded_into"] is None]
    unproved = [row for row in top if not row["is_systematic"] and row["labels_needed"] is not None][:_MOST_OPEN]
    followed = [row for row in top if row["is_systematic"]] + unproved
    old, new = slice_data(before), slice_data(after)
    found = []
    for row in followed:
        values = dict(row["slice"])
        counts = _count(old, values), _count(new, values)
        if counts[0] != counts[1]:
            needed = _needed(row, *counts)
            found.append(SliceChange(row["slice_id"], slice_title(values), *counts, needed, row["is_systematic"]))
    return found


def _count(data: SliceData, values: dict[str, str]) -> tuple[int, int]:
    """Labelled visits of a slice that err, and all of them."""
    for key, value in values.items():
        true, _, called = value.partition(PAIR)
        parts = {"true_id": true, "predicted_id": called} if key == "pair" else {key: value}
        if any(one not in data.values[name] for name, one in parts.items()):
            return 0, 0
    members = slice_members(data, values)
    return int(members.is_error.sum()), int(members.rows.size)


def _needed(row: Row, before: tuple[int, int], after: tuple[int, int]) -> int | None:
    """Labels until a slice is settled: of a systematic one at its rate by now, else what is left of the report's number."""
    more = after[1] - before[1]
    if not row["is_systematic"]:
        return max(0, row["labels_needed"] - more)
    n = max(row["exposure"], row["n_events"]) if row["is_lower_bound"] else row["n_events"]
    worth = row["n_effective"] / n if n else 0.0
    effective = max(row["n_effective"] + more * worth, worth)
    rate = (row["error_rate"] * row["n_effective"] + (after[0] - before[0]) * worth) / effective if effective else 0.0
    (found,) = labels_to_measure([min(max(rate, 0.0), 1.0)], [effective], [max(n + more, 1)])
    return None if found != found else int(found)


def _config(frames: Frames, batch_key: str) -> AuditConfig:
    """The settings of a batch's run, as far as they decide what a visit is; the default where they are not known."""
    try:
        minutes = json.loads(frames.run(batch_key).get("config") or "{}")["slices"]["visit_minutes"]
        return AuditConfig.model_validate({"slices": {"visit_minutes": minutes}})
    except (KeyError, TypeError, ValueError):
        return AuditConfig()

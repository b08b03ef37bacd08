"""What the answers of a review have changed since it was opened: slices, files of labels, how well readers agree."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from scd_core.audit.review.frames import Frames
from scd_core.audit.review.given import GivenAnswers
from scd_core.audit.review.queues import Queues

if TYPE_CHECKING:
    from scd_core.audit.review.changes import Changes

__all__ = ["SinceOpened"]


class SinceOpened:
    """What is other by now than when a review was opened. All methods may be called by several threads.

    Args:
        frames: pictures of the audit.
        queues: what waits.
        given: answers since the report, all that there were when the review was opened among them.
        lock: held while `queues` and `given` are read.
        reported: files of `labels` that the report counts.
    """

    def __init__(
        self, frames: Frames, queues: Queues, given: GivenAnswers, lock: threading.RLock, reported: Iterable[str]
    ) -> None:
        self.reported = sorted(reported)
        """Files of `labels` that the report counts which the review was opened with."""
        self._frames, self._queues, self._given, self._lock = frames, queues, given, lock
        self._at_start = given.files(), given.media()

    def changes(self) -> list[dict[str, Any]]:
        """The slices that answers have changed since (:class:`SliceChange`), as a report would count them.

        Raises:
            RunError: OUT cannot be read.
        """
        with self._lock:
            self._given.poll()
            files, media = self._given.files(), self._given.media()
        return [one.as_json() for one in self._changes.now(files, lambda: self._batches_of(media))]

    def files(self) -> list[str]:
        """Files of `labels` that count now, sorted.

        Raises:
            RunError: OUT cannot be read.
        """
        with self._lock:
            self._given.poll()
            return self._given.files()

    def agreement(self) -> dict[str, Any]:
        """How well second readers agree with first ones (:func:`scd_core.audit.review.agreement.agreements`).

        Raises:
            RunError: OUT cannot be read.
        """
        from scd_core.audit.review.agreement import agreements

        return agreements(self._frames.readings(self.files()))

    @cached_property
    def _changes(self) -> Changes:
        from scd_core.audit.review.changes import Changes  # imports SciPy, which the first screen does not wait for

        files, media = self._at_start
        return Changes(self._frames, files, lambda: self._batches_of(media))

    def _batches_of(self, media_ids: Collection[str]) -> set[str]:
        """Batches of pictures; those that the review has not met are looked for in all of OUT."""
        with self._lock:
            known = {name: batch for name in media_ids if (batch := self._queues.batch_of(name)) is not None}
        strange = set(media_ids) - known.keys()
        return {*known.values()} | (self._frames.batches_of(strange) if strange else set())

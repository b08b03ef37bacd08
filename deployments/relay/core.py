"""The relay itself: it counts notifications, waits until uploads are quiet, and emits their events."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from deployments.relay.debounce import Burst, Debouncer, Receipt
from deployments.relay.events import Emit, upload_event
from deployments.relay.notifications import Notification
from deployments.relay.settings import RelaySettings
from scd_core.errors import first_line

__all__ = ["Count", "Relay"]

logger = logging.getLogger("trapaudit.relay")

_TICK_SECONDS = 0.5
_MAX_RETRY_SECONDS = 300.0
_BUCKETS_NAMED = 50
"""Foreign buckets that get a log line; afterwards they are only counted, so a stranger cannot fill the log."""


class Count(StrEnum):
    """What the relay counts; `GET /health` shows it."""

    NOTIFICATIONS = "notifications"
    UPLOADS = "uploads"
    ELSEWHERE = "elsewhere"
    OTHER = "other"
    TESTS = "tests"
    MALFORMED = "malformed"
    EVENTS = "events"
    EMIT_FAILURES = "emit_failures"
    QUEUE_FAILURES = "queue_failures"
    REFUSED_RATE = "refused_rate"
    REFUSED_SIZE = "refused_size"


class Relay:
    """Takes notifications from webhook and queue, and emits one event per upload.

    Args:
        settings: sources, limits and times.
        emit: sends an event to Prefect.
        clock: seconds, never going back.
        now: the time of day (UTC), for the event.

    Attributes:
        counts: how often each thing happened.
        failing_since: clock time since when events cannot be emitted; None while they can.
    """

    def __init__(
        self,
        settings: RelaySettings,
        emit: Emit,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.counts: Counter[Count] = Counter()
        self.failing_since: float | None = None
        self._failures = 0  # in a row
        self._emit = emit
        self._now = now
        self._named: set[str] = set()
        self._debouncer = Debouncer(settings.quiet_seconds, settings.max_wait_seconds, settings.max_prefixes)

    def take(self, notification: Notification, receipt: Receipt | None = None) -> int:
        """Take a notification; returns how many of its uploads lie in a watched source."""
        self.counts[Count.NOTIFICATIONS] += 1
        self.counts[Count.TESTS] += notification.n_tests
        self.counts[Count.OTHER] += notification.n_other
        self.counts[Count.MALFORMED] += notification.n_malformed
        wanted = 0
        for upload in notification.uploads:
            place = self.settings.place_of(upload)
            if place is None:
                self.counts[Count.ELSEWHERE] += 1
                self._name(upload.bucket)
                continue
            wanted += 1
            self._debouncer.add(place, self.clock(), receipt)
        self.counts[Count.UPLOADS] += wanted
        return wanted

    async def emit_due(self, everything: bool = False) -> int:
        """Emit the events of all uploads that are due; returns how many are out.

        Where the server does not take one, it and those after it wait, longer each time; nothing is dropped. A refused
        event is tried after the others, so one that the server never takes delays no other.
        """
        due = self._debouncer.take_due(self.clock(), everything)
        done = 0
        try:
            while due:
                await self._emit_one(due[0])
                burst = due.pop(0)
                done += 1
                for receipt in burst.receipts:
                    receipt.settle()
        except Exception as error:  # noqa: BLE001 - whatever keeps an event from going out, it must be tried again
            due[0].failures += 1
            self._note_failure(error, len(due))
        finally:
            for burst in due:
                failures = max(burst.failures, self._failures)
                wait = min(self.settings.retry_seconds * 2 ** min(max(failures - 1, 0), 10), _MAX_RETRY_SECONDS)
                self._debouncer.put_back(burst, self.clock() + wait)
        return done

    async def run(self) -> None:
        """Emit what is due, until cancelled."""
        while True:
            await asyncio.sleep(min(_TICK_SECONDS, max(0.01, self.settings.quiet_seconds / 4)))
            await self.emit_due()

    def health(self) -> dict[str, Any]:
        """Counts, what waits, and for how long events could not be emitted (s); no names of buckets or objects."""
        failing = None if self.failing_since is None else round(self.clock() - self.failing_since, 1)
        return {
            "waiting": len(self._debouncer),
            "prefect_failing_seconds": failing,
            "counts": {name: self.counts[name] for name in Count},
        }

    async def _emit_one(self, burst: Burst) -> None:
        clock, now = self.clock(), self._now()
        first, last = (now - timedelta(seconds=clock - moment) for moment in (burst.first, burst.last))
        event = upload_event(burst.source, burst.batch, burst.n, first, last)
        await asyncio.wait_for(self._emit(event), self.settings.emit_timeout_seconds)
        self.counts[Count.EVENTS] += 1
        self._failures = 0
        if self.failing_since is not None:
            logger.info("Prefect takes events again after %.0f s", clock - self.failing_since)
            self.failing_since = None
        logger.info("upload s3://%s: %d notifications, event out", burst.batch, burst.n)

    def _note_failure(self, error: Exception, n_waiting: int) -> None:
        self.counts[Count.EMIT_FAILURES] += 1
        self._failures += 1
        if self.failing_since is None:
            self.failing_since = self.clock()
        logger.warning("Prefect's server does not take events (%s); %d uploads wait", first_line(error), n_waiting)

    def _name(self, bucket: str) -> None:
        if bucket not in self._named and len(self._named) < _BUCKETS_NAMED:
            self._named.add(bucket)
            logger.warning(
                "a notification of bucket %r lies in no watched source and was dropped; further ones are only counted",
                bucket,
            )

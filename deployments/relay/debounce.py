"""Many notifications become one burst, which is due once it is quiet or has waited long enough."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from deployments.relay.settings import Place, Wanted

__all__ = ["Burst", "Debouncer", "Receipt"]


class Receipt(Protocol):
    """A sender's message: held once for each upload in it, and settled once that upload's event is out."""

    def hold(self) -> None:
        """One more upload waits."""

    def settle(self) -> None:
        """The event of one upload is out."""


@dataclass(slots=True)
class Burst:
    """Notifications of one upload.

    Attributes:
        source: the watched source.
        batch: the upload's bucket and prefix.
        first, last: when the first and the latest notification came (s, of the relay's clock).
        n: how many came.
        receipts: senders that wait for the event.
        not_before: no event before this moment; set after a failure (s).
        failures: times that the event could not be emitted.
    """

    source: Place
    batch: Place
    first: float
    last: float
    n: int = 0
    receipts: set[Receipt] = field(default_factory=set)
    not_before: float = 0.0
    failures: int = 0


class Debouncer:
    """Collects notifications by batch prefix. Memory is bounded by `max_prefixes`, not by how many come.

    Args:
        quiet_seconds: a burst is due when nothing came for so long.
        max_wait_seconds: or when its first notification is so old.
        max_prefixes: uploads kept apart; beyond, a notification joins the burst of its whole source.
    """

    def __init__(self, quiet_seconds: float, max_wait_seconds: float, max_prefixes: int) -> None:
        self._quiet = quiet_seconds
        self._max_wait = max_wait_seconds
        self._max_prefixes = max_prefixes
        self._waiting: dict[Place, Burst] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, wanted: Wanted, now: float, receipt: Receipt | None = None) -> None:
        """Take a notification."""
        batch = wanted.batch
        if batch not in self._waiting and len(self._waiting) >= self._max_prefixes:
            batch = wanted.source
        burst = self._waiting.setdefault(batch, Burst(wanted.source, batch, now, now))
        burst.last = now
        burst.n += 1
        if receipt is not None and receipt not in burst.receipts:
            receipt.hold()
            burst.receipts.add(receipt)

    def take_due(self, now: float, everything: bool = False) -> list[Burst]:
        """Remove and return the bursts that are due, those that failed least first, then the oldest; with `everything`, all."""
        due = [burst for burst in self._waiting.values() if everything or self._is_due(burst, now)]
        for burst in due:
            del self._waiting[burst.batch]
        return sorted(due, key=lambda burst: (burst.failures, burst.first))

    def put_back(self, burst: Burst, not_before: float) -> None:
        """Keep a burst whose event could not be emitted, together with what came meanwhile."""
        newer = self._waiting.get(burst.batch)
        if newer is not None:
            burst.last = newer.last
            burst.n += newer.n
            for receipt in newer.receipts & burst.receipts:
                receipt.settle()  # held by both; one hold is left
            burst.receipts |= newer.receipts
        burst.not_before = not_before
        self._waiting[burst.batch] = burst

    def _is_due(self, burst: Burst, now: float) -> bool:
        quiet_at = min(burst.last + self._quiet, burst.first + self._max_wait)
        return now >= max(quiet_at, burst.not_before)

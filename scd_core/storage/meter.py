"""What a task waits for: seconds in which it stood still for the storage, for the model and for a place on the GPU."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol, TypeVar

__all__ = ["Meter", "current_meter", "metered", "storage_time"]

T = TypeVar("T")


class _Counts(Protocol):
    """Takes the time of requests to the storage."""

    def add_storage(self, seconds: float) -> None: ...


_current: ContextVar[_Counts | None] = ContextVar("trapaudit_meter", default=None)


class Meter:
    """The time of one task, in seconds.

    Threads that fetch and decode ahead are helpers: what they do costs the task nothing until it waits for them. That wait is put
    down to the storage by the share of the helpers' time that went to it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self._direct = 0.0
        self._waited = 0.0
        self._helped = 0.0
        self._fetched = 0.0
        self._model = 0.0
        self._slot = 0.0

    def add_storage(self, seconds: float) -> None:
        """Count a request to the storage that the task made itself."""
        self._direct += seconds

    def help(self, call: Callable[[], T]) -> T:
        """Do something for the task in another thread."""
        helper = _Helper()
        token = _current.set(helper)
        began = time.monotonic()
        try:
            return call()
        finally:
            _current.reset(token)
            with self._lock:
                self._helped += time.monotonic() - began
                self._fetched += helper.seconds

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Wait for a helper."""
        began = time.monotonic()
        try:
            yield
        finally:
            self._waited += time.monotonic() - began

    @contextmanager
    def model(self, waited_for_slot: float) -> Iterator[None]:
        """Work with the model, after waiting so many seconds for a place on the GPU."""
        self._slot += waited_for_slot
        began, before = time.monotonic(), self._direct + self._waited
        try:
            yield
        finally:
            self._model += max(0.0, time.monotonic() - began - (self._direct + self._waited - before))

    def seconds(self) -> dict[str, float]:
        """``task``: since the meter was made; of these ``storage``, ``model`` and ``slot``. The rest is decoding and its like."""
        fetched = min(1.0, self._fetched / self._helped) if self._helped else 0.0
        storage = self._direct + self._waited * fetched
        return {
            "task": time.monotonic() - self._began, "storage": storage, "model": self._model, "slot": self._slot,
        }  # fmt: skip


class _Helper:
    def __init__(self) -> None:
        self.seconds = 0.0

    def add_storage(self, seconds: float) -> None:
        self.seconds += seconds


@contextmanager
def metered() -> Iterator[Meter]:
    """Count the time of what is done inside, in this thread and in threads that fetch for it."""
    meter = Meter()
    token = _current.set(meter)
    try:
        yield meter
    finally:
        _current.reset(token)


def current_meter() -> Meter | None:
    """The meter of the task of this thread; None outside of one, and in threads that fetch for it."""
    meter = _current.get()
    return meter if isinstance(meter, Meter) else None


@contextmanager
def storage_time() -> Iterator[None]:
    """Count what is done inside as waiting for the storage, where somebody counts."""
    counts = _current.get()
    if counts is None:
        yield
        return
    began = time.monotonic()
    try:
        yield
    finally:
        counts.add_storage(time.monotonic() - began)

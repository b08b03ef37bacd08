"""Work in threads: results in the order of the items, with bounded memory."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from queue import Full, Queue
from typing import TypeVar

from scd_core.storage.meter import current_meter

__all__ = ["COMPUTING", "Budget", "chain_ahead", "ordered_map"]

A = TypeVar("A")
B = TypeVar("B")

COMPUTING = threading.BoundedSemaphore(max(2, os.cpu_count() or 1))
"""Held while the process's threads decode and resize: more of them than cores push each other's pixels out of the caches
(8 on 2 cores were 15 % slower than 2), while any number of threads may wait for the storage."""


class Budget:
    """Lets threads in while the sum of what they hold stays below a limit.

    One that is larger than the whole limit is let in alone, so nothing waits for ever.

    Args:
        limit: largest sum.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0
        self._freed = threading.Condition()

    @contextmanager
    def hold(self, cost: int) -> Iterator[None]:
        """Wait until ``cost`` fits, and hold it."""
        with self._freed:
            self._freed.wait_for(lambda: self._held == 0 or self._held + cost <= self._limit)
            self._held += cost
        try:
            yield
        finally:
            with self._freed:
                self._held -= cost
                self._freed.notify_all()


class _Ended:
    """The end of an iterator that was read in a thread, or what it raised."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def chain_ahead(sources: Iterable[Iterator[A]], workers: int, ahead: int) -> Iterator[A]:
    """Items of several iterators, one iterator after the other; the next ones are read ahead in threads.

    Args:
        sources: iterators; they are taken as they are needed, in the caller's thread.
        workers: iterators that are read at once.
        ahead: most items of one iterator that wait for the caller.

    Raises:
        Exception: what an iterator raised, at that item's turn.
    """
    pool = ThreadPoolExecutor(workers, thread_name_prefix="listing")
    has_ended = threading.Event()

    def put(waiting: Queue[A | _Ended], item: A | _Ended) -> bool:
        while not has_ended.is_set():
            with suppress(Full):
                waiting.put(item, timeout=0.1)
                return True
        return False

    def read(source: Iterator[A], waiting: Queue[A | _Ended]) -> None:
        try:
            for item in source:
                if not put(waiting, item):
                    return
            put(waiting, _Ended(None))
        except BaseException as error:  # noqa: BLE001 - it is raised in the caller's thread
            put(waiting, _Ended(error))

    begun: deque[Queue[A | _Ended]] = deque()
    rest = iter(sources)
    try:
        while True:
            while len(begun) < workers and (source := next(rest, None)) is not None:
                begun.append(Queue(ahead))
                pool.submit(read, source, begun[-1])
            if not begun:
                return
            while not isinstance(item := begun[0].get(), _Ended):
                yield item
            if item.error is not None:
                raise item.error
            begun.popleft()
    finally:
        has_ended.set()
        pool.shutdown(wait=True, cancel_futures=True)


def ordered_map(items: Iterable[A], call: Callable[[A], B], workers: int, ahead: int) -> Iterator[B]:
    """Apply a function in threads and give the results in the order of the items.

    Args:
        items: what to work on; read lazily.
        call: must not depend on the other items.
        workers: threads.
        ahead: most results finished or in work beyond the one the caller holds, which bounds the memory.

    Raises:
        Exception: what the call raised, at that item's turn; work not begun is then dropped.
    """
    pool = ThreadPoolExecutor(workers, thread_name_prefix="media")
    queue: deque[Future[B]] = deque()
    source = iter(items)
    meter = current_meter()

    def helped(item: A) -> B:
        return call(item) if meter is None else meter.help(lambda: call(item))

    try:
        while True:
            while len(queue) < max(1, ahead):
                try:
                    item = next(source)
                except StopIteration:
                    break
                queue.append(pool.submit(helped, item))
            if not queue:
                return
            with nullcontext() if meter is None else meter.waiting():
                result = queue.popleft().result()
            yield result
    finally:
        pool.shutdown(wait=True, cancel_futures=True)

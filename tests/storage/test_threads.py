"""Iterators read ahead give their items in order, end with their error, and end when nobody listens."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from scd_core.storage.threads import chain_ahead


def test_items_come_in_the_order_of_the_iterators_however_they_are_read():
    sources = [range(start, start + n) for start, n in ((0, 5), (100, 0), (200, 50), (300, 1), (400, 7))]
    for workers in (1, 2, 8):
        assert list(chain_ahead(map(iter, sources), workers, 2)) == [item for some in sources for item in some]
    assert list(chain_ahead([], 4, 2)) == []


def test_an_error_comes_at_its_turn_and_threads_end_when_the_caller_stops():
    def broken() -> Iterator[int]:
        yield 1
        raise KeyError("here")

    found = chain_ahead(iter([iter([0]), broken(), iter([2])]), 4, 2)
    assert [next(found), next(found)] == [0, 1]
    with pytest.raises(KeyError, match="here"):
        next(found)
    before = threading.active_count()
    endless = chain_ahead(iter([iter(range(10**9)), iter(range(10**9))]), 2, 2)
    assert next(endless) == 0
    endless.close()
    assert threading.active_count() <= before


def test_no_more_is_read_ahead_than_was_asked_for():
    taken = []

    def counted() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    found = chain_ahead(iter([counted()]), 1, 3)
    assert next(found) == 0
    threading.Event().wait(0.5)
    assert len(taken) <= 1 + 3 + 1
    found.close()

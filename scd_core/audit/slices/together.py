"""Work on arrays in two threads: NumPy and Arrow let Python go on while they compute."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ["in_threads"]

_THREADS = 2
"""Each holds arrays of all visits, so more of them would take more memory."""

Item = TypeVar("Item")
Found = TypeVar("Found")


def in_threads(function: Callable[[Item], Found], items: Iterable[Item]) -> list[Found]:
    """What a function gives for each item, in their order, for two of them at a time.

    Args:
        function: what is computed; it changes nothing that another item needs.
        items: its arguments.
    """
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(function, items))

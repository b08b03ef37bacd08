"""What is handed to the flow runs of this process: a job that is prepared and listed, and that closed folders are listed too.

It is a module of its own because a flow travels to the machines of a Ray cluster with all that its own module holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from scd_core.job import Job, Listed

__all__ = ["hand_over", "handed_over", "listing_all", "lists_all"]

_job: ContextVar[tuple[Job, Listed] | None] = ContextVar("trapaudit_job", default=None)
_lists_all: ContextVar[bool] = ContextVar("trapaudit_lists_all", default=False)


@contextmanager
def hand_over(job: Job, listed: Listed) -> Iterator[None]:
    """Have the flow runs inside work on this job."""
    token = _job.set((job, listed))
    try:
        yield
    finally:
        _job.reset(token)


def handed_over() -> tuple[Job, Listed] | None:
    """What :func:`hand_over` gave; None outside of it."""
    return _job.get()


@contextmanager
def listing_all() -> Iterator[None]:
    """Have the flow runs inside list closed folders too: what woke them may be in one."""
    token = _lists_all.set(True)
    try:
        yield
    finally:
        _lists_all.reset(token)


def lists_all() -> bool:
    """Whether this is inside of :func:`listing_all`."""
    return _lists_all.get()

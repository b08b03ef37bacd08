"""A job that is prepared and listed, handed to the flow runs of this process, so that nothing is read twice.

It is a module of its own because a flow travels to the machines of a Ray cluster with all that its own module holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from scd_core.job import Job, Listed

__all__ = ["hand_over", "handed_over"]

_job: ContextVar[tuple[Job, Listed] | None] = ContextVar("trapaudit_job", default=None)


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

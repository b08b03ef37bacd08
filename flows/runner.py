"""What runs the stages of an audit: threads of this process, Prefect task runs, or the machines of a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from scd_core.job import Job
from scd_core.names import Stage
from scd_core.storage.objects import ObjectRef
from tasks.work import Work

__all__ = ["Progress", "Runner"]


class Progress(Protocol):
    """Shows how far an audit is."""

    def stage(self, stage: Stage, total: int) -> AbstractContextManager[Callable[[int], None]]:
        """Show a stage of `total` images while inside; gives the function that adds images done."""
        ...

    def note(self, text: str) -> None:
        """Show one line."""
        ...


class Runner(Protocol):
    """Runs the functions of the stages."""

    run_id: str
    """Identity of this run, stamped on the rows of the batches that it opens."""
    progress: Progress

    def map(self, work: Work, calls: Sequence[tuple[Any, ...]], done: Callable[[int], None]) -> list[Any]:
        """Results of calls of one function, in their order, some at once.

        Args:
            work: the function and its retries.
            calls: arguments of each call.
            done: is called with the place of each call that has ended.

        Raises:
            Exception: the first failure that outlasted the retries, once all calls have ended.
        """
        ...

    def call(self, work: Work, *arguments: Any) -> Any:
        """The result of one call; raises what outlasts the retries."""
        ...

    def model_device(self, device: str) -> str:
        """The device that functions with the model compute on.

        Args:
            device: as configured: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

        Raises:
            InputError: not a device name, or one that the runner cannot serve.
            RunError: no such device, or this build of torch has no code for it.
        """
        ...

    def check_machines(self, job: Job, device: str, objects: Sequence[ObjectRef]) -> None:
        """Check that every machine which will work on shards can do its part, before work is given to it.

        A machine that cannot read SOURCE would call its images missing, and one with another version would make other rows.

        Args:
            job: the audit.
            device: of :meth:`model_device`.
            objects: of SOURCE; one of the first that is there is looked for.

        Raises:
            RunError: a machine cannot, and which, and why.
        """
        ...

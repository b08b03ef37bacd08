"""Stages on a thread pool of this process: no server, the same retries and shard results as anywhere else."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

from flows.runner import Progress
from scd_core.errors import InputError, first_line
from scd_core.job import Job
from scd_core.storage.objects import ObjectRef
from tasks.work import Work

__all__ = ["THREADS", "ThreadsRunner"]

THREADS = 4
"""Shards in work at once: fetching one overlaps with the model's work on another."""


class ThreadsRunner:
    """The runner of a local run; see :class:`flows.runner.Runner`.

    Args:
        progress: shows how far the audit is.
    """

    def __init__(self, progress: Progress) -> None:
        self.run_id = str(uuid.uuid4())
        self.progress = progress

    def map(self, work: Work, calls: Sequence[tuple[Any, ...]], done: Callable[[int], None]) -> list[Any]:
        """Results of calls of one function, in their order."""
        failed = threading.Event()

        def run(arguments: tuple[Any, ...]) -> Any:
            try:
                return self.call(work, *arguments)
            except BaseException:
                failed.set()
                raise

        with ThreadPoolExecutor(THREADS) as pool:
            futures = [pool.submit(run, arguments) for arguments in calls]
            place = {future: number for number, future in enumerate(futures)}
            try:
                for future in as_completed(futures):
                    done(place[future])
                    if failed.is_set():
                        break
            finally:
                pool.shutdown(wait=True, cancel_futures=failed.is_set() or not all(f.done() for f in futures))
            ended = [future for future in futures if future.done() and not future.cancelled()]
            for future in ended if failed.is_set() else ():
                future.result()
            return [future.result() for future in futures]

    def call(self, work: Work, *arguments: Any) -> Any:
        """The result of one call."""
        for retry in range(work.retries):
            try:
                return work.function(*arguments)
            except InputError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever failed may pass at the next try; the last one is raised
                self.progress.note(f"{work.name}: {first_line(error)}; trying again")
                time.sleep(work.delay(retry))
        return work.function(*arguments)

    def model_device(self, device: str) -> str:
        """The device of this machine."""
        from scd_core.identify.classifier import resolve_device  # torch: a run with nothing new needs none

        return str(resolve_device(device))

    def check_machines(self, job: Job, device: str, objects: Sequence[ObjectRef]) -> None:
        """This machine has been checked already: it prepared the job."""

"""Progress of an audit's stages: bars in a terminal, log lines and a Prefect artifact elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.futures import PrefectFuture, as_completed
from prefect.logging import get_run_logger
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from scd_core.errors import first_line

__all__ = ["Stages", "show_bars"]

STAGES = ("ingest", "classify", "triage", "mask", "reclassify")
"""In their order; each is a fifth of a batch's progress."""

_UPDATE_SECONDS = 15.0
"""An update is a call to the server, so they come no oftener (s)."""

_console: Console | None = None


@contextmanager
def show_bars(console: Console) -> Iterator[None]:
    """Draw a bar per stage on this console while inside."""
    global _console
    _console = console
    try:
        yield
    finally:
        _console = None


class Stages:
    """Runs the stages of a batch, shows how far each is, and keeps its wall time.

    Args:
        batch_key: batch that the progress artifact is of.

    Attributes:
        seconds: stage -> wall time (s).
    """

    def __init__(self, batch_key: str) -> None:
        self.seconds: dict[str, float] = {}
        self._batch_key = batch_key
        self._artifact: UUID | None = None
        self._told_at = time.monotonic()

    def gather(self, stage: str, futures: Sequence[PrefectFuture[Any]], sizes: Sequence[int]) -> list[Any]:
        """Results of a stage's shards in their order; the first failure is raised once all shards have ended."""
        place = {id(future): number for number, future in enumerate(futures)}
        with self.stage(stage, sum(sizes)) as advance:
            for future in as_completed(list(futures)):
                future.wait()
                advance(sizes[place[id(future)]])
            return [future.result() for future in futures]

    @contextmanager
    def stage(self, stage: str, total: int) -> Iterator[Callable[[int], None]]:
        """Time a stage of `total` images; yields the function that advances its bar."""
        started = time.monotonic()
        try:
            if _console is None:
                self._tell(stage, 0.0, now=self._artifact is None)
                done = 0

                def advance(images: int) -> None:
                    nonlocal done
                    done += images
                    self._tell(stage, done / max(total, 1))

                yield advance
                self._tell(stage, 1.0, now=stage == STAGES[-1])
                get_run_logger().info("%s: %d images in %.1f s", stage, total, time.monotonic() - started)
            else:
                columns = (
                    TextColumn("{task.description:<12}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
                )  # fmt: skip
                with Progress(*columns, console=_console) as progress:
                    bar = progress.add_task(stage, total=total)
                    yield lambda done: progress.advance(bar, done)
                    progress.update(bar, completed=total)
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.monotonic() - started

    def _tell(self, stage: str, share: float, now: bool = False) -> None:
        """Bring the progress artifact up to date, where the last time was long ago; it never costs a run its life."""
        if not now and time.monotonic() - self._told_at < _UPDATE_SECONDS:
            return
        self._told_at = time.monotonic()
        percent = 100 * (STAGES.index(stage) + min(share, 1.0)) / len(STAGES)
        said = f"batch {self._batch_key}: {stage}"
        try:
            if self._artifact is None:
                made = create_progress_artifact(percent, key="audit-progress", description=said)
                self._artifact = cast("UUID", made)  # a coroutine only where a loop runs, and flows are not async
            else:
                update_progress_artifact(self._artifact, percent, description=said)
        except Exception as error:  # noqa: BLE001 - the server may be away for any reason, and the work goes on
            get_run_logger().warning("progress not told: %s", first_line(error))

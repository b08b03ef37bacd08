"""Progress of an audit's stages: bars in a terminal, log lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from prefect.futures import PrefectFuture, as_completed
from prefect.logging import get_run_logger
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

__all__ = ["Stages", "show_bars"]

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

    Attributes:
        seconds: stage -> wall time (s).
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

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
                yield lambda _: None
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

"""Progress of an audit in a terminal: a bar for each stage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from scd_core.names import Stage

__all__ = ["Bars", "current_bars", "show_bars"]

_current: Bars | None = None


class Bars:
    """A bar for each stage, and notes between them; see :class:`flows.runner.Progress`.

    Args:
        console: where they are drawn.
    """

    def __init__(self, console: Console) -> None:
        self._console = console

    @contextmanager
    def stage(self, stage: Stage, total: int) -> Iterator[Callable[[int], None]]:
        """Draw the bar of a stage while inside."""
        columns = TextColumn("{task.description:<12}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
        with Progress(*columns, console=self._console) as progress:
            bar = progress.add_task(stage, total=total)
            yield lambda done: progress.advance(bar, done)
            progress.update(bar, completed=total)

    def note(self, text: str) -> None:
        """Print a line."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def show_bars(console: Console) -> Iterator[Bars]:
    """Have flow runs of this process draw bars on this console while inside, in place of artifacts and log lines."""
    global _current
    _current = Bars(console)
    try:
        yield _current
    finally:
        _current = None


def current_bars() -> Bars | None:
    """The bars of :func:`show_bars`; None outside of it."""
    return _current

"""Progress of an audit in a flow run: log lines, and a progress artifact on Prefect's server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.logging import get_run_logger

from scd_core.errors import first_line
from scd_core.names import Stage

__all__ = ["FlowProgress"]

_UPDATE_SECONDS = 15.0
"""An update is a call to the server, so they come no oftener (s)."""


class FlowProgress:
    """Log lines and one progress artifact of the flow run; see :class:`flows.runner.Progress`."""

    def __init__(self) -> None:
        self._artifact: UUID | None = None
        self._updated_at = time.monotonic()

    @contextmanager
    def stage(self, stage: Stage, total: int) -> Iterator[Callable[[int], None]]:
        """Bring the artifact up to date while inside, and log how long the stage took."""
        started = time.monotonic()
        done = 0
        self._update(stage, 0.0, now=self._artifact is None)

        def advance(images: int) -> None:
            nonlocal done
            done += images
            self._update(stage, done / max(total, 1))

        yield advance
        self._update(stage, 1.0, now=stage == list(Stage)[-1])
        get_run_logger().info("%s: %d images in %.1f s", stage, total, time.monotonic() - started)

    def note(self, text: str) -> None:
        """Log a line."""
        get_run_logger().info("%s", text)

    def _update(self, stage: Stage, share: float, now: bool = False) -> None:
        """Bring the artifact up to date, where the last time was long ago; a server that is away never ends a run."""
        if not now and time.monotonic() - self._updated_at < _UPDATE_SECONDS:
            return
        self._updated_at = time.monotonic()
        percent = 100 * (list(Stage).index(stage) + min(share, 1.0)) / len(Stage)
        try:
            if self._artifact is None:
                made = create_progress_artifact(percent, key="audit-progress", description=stage)
                self._artifact = cast("UUID", made)  # a coroutine only where a loop runs, and flows are not async
            else:
                update_progress_artifact(self._artifact, percent, description=stage)
        except Exception as error:  # noqa: BLE001 - the server may be away for any reason, and the work goes on
            get_run_logger().warning("progress artifact not updated: %s", first_line(error))

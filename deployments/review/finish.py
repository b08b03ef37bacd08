"""The end of a sitting: errors and slices derived anew from what was answered, and the report drawn."""

from __future__ import annotations

import threading
from typing import Any

from rich.console import Console

from scd_core.audit.review.session import ReviewSession
from scd_core.config import AuditConfig

__all__ = ["Finish"]


class Finish:
    """Writes a new report after answers; for several threads at once.

    The review goes on as it was: its queues and its "before" stay those of the report that it was opened with.

    Args:
        session: the review.
        config: settings of the report.
    """

    def __init__(self, session: ReviewSession, config: AuditConfig) -> None:
        self._session = session
        self._config = config
        self._lock = threading.Lock()
        self._files = session.since.reported
        self._report_id = session.frames.report_id

    def done(self) -> dict[str, Any]:
        """Write ``errors``, ``error_slices`` and the report where answers came since the last time, and say what changed.

        What is kept of each batch is not derived again (:mod:`scd_core.audit.state.kept`), so that it takes as long as a report
        after a night, not as long as the first one.

        Returns:
            ``report_id``, None where OUT has no report and nothing was answered; ``is_new``, whether it was written now; and
            ``changes`` (:meth:`scd_core.audit.review.since.SinceOpened.changes`).

        Raises:
            RunError: OUT cannot be read or written.
        """
        from flows.audit import run_report  # imports SciPy, which the first screen does not wait for
        from flows.progress import Bars
        from flows.threads_runner import ThreadsRunner

        with self._lock:
            changes = self._session.since.changes()
            files = self._session.since.files()
            is_new = files != self._files
            if is_new:
                runner = ThreadsRunner(Bars(Console(stderr=True)))
                self._report_id = run_report(self._session.out, self._config, runner)["report_id"]
                self._files = files
            return {"report_id": self._report_id, "is_new": is_new, "changes": changes}

"""Structured logs: one JSON object a line, each with the run, task and batch it belongs to."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

__all__ = ["JsonLines", "in_batch"]

_batch_key: ContextVar[str | None] = ContextVar("trapaudit_batch_key", default=None)

_RUN_FIELDS = (
    "flow_run_id",
    "flow_run_name",
    "flow_name",
    "task_run_id",
    "task_run_name",
    "task_name",
    "deployment_name",
    "worker_name",
    "work_pool_name",
)
"""What Prefect's loggers add to a record; empty ones are left out."""

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


@contextmanager
def in_batch(batch_key: str) -> Iterator[None]:
    """Mark every log line written inside, in this thread and in tasks submitted from it, with the batch's key."""
    token = _batch_key.set(batch_key)
    try:
        yield
    finally:
        _batch_key.reset(token)


class JsonLines(logging.Formatter):
    """A record as one line of JSON: ``time`` (UTC, ISO 8601), ``level``, ``logger``, ``message``, the ids of the run, task
    and batch, ``exception`` with its traceback, and under ``extra`` whatever else a caller attached.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end; a value that JSON does not know is written as text."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name in _RUN_FIELDS:
            if (value := getattr(record, name, None)) not in (None, "", "<unknown>"):
                line[name] = str(value)
        if batch := getattr(record, "batch_key", None) or _batch_key.get():
            line["batch_key"] = batch
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        known = _STANDARD | {*_RUN_FIELDS, "batch_key"}
        if extra := {name: value for name, value in record.__dict__.items() if name not in known}:
            line["extra"] = extra
        return json.dumps(line, default=str, ensure_ascii=False)

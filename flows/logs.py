"""Structured logs: one JSON object a line, each with the run, task and batch it belongs to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from pythonjsonlogger.json import JsonFormatter

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


@contextmanager
def in_batch(batch_key: str) -> Iterator[None]:
    """Mark every log line written inside, in this thread and in tasks submitted from it, with the batch's key."""
    token = _batch_key.set(batch_key)
    try:
        yield
    finally:
        _batch_key.reset(token)


class JsonLines(JsonFormatter):
    """A record as one line of JSON: ``time`` (UTC, ISO 8601), ``level``, ``logger``, ``message``, the ids of the run, task
    and batch, ``exception`` with its traceback, and under ``extra`` whatever else a caller attached.
    """

    def __init__(self) -> None:
        super().__init__(["created", "levelname", "name", "message"], json_ensure_ascii=False)

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        """The fields of a line, by their names and in their order."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(log_data.pop("created"), UTC).isoformat(timespec="milliseconds"),
            "level": log_data.pop("levelname"),
            "logger": log_data.pop("name"),
            "message": log_data.pop("message"),
        }
        for name in _RUN_FIELDS:
            if (value := log_data.pop(name, None)) not in (None, "", "<unknown>"):
                line[name] = str(value)
        if batch := log_data.pop("batch_key", None) or _batch_key.get():
            line["batch_key"] = batch
        if exception := log_data.pop("exc_info", None):
            line["exception"] = exception
        return line | {"extra": log_data} if log_data else line

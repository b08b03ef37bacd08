"""Limits on the size of files that are handed in or found beside media, and on the time that each takes; all that read one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from typing import TypeVar

from scd_core.config import FilesConfig
from scd_core.errors import InputError

__all__ = ["READERS", "Reader", "current_limits", "file_limits", "in_time", "read_in_time"]

T = TypeVar("T")
_ROWS = 1024
"""Rows between two looks at the clock."""


@dataclass(frozen=True)
class Reader:
    """A function that reads a file which somebody else made."""

    function: str
    """Its module and name."""
    file: str
    """What it reads."""
    is_found: bool = False
    """The file is found beside media and not named, so that one over a limit is passed over, and counted."""
    is_small: bool = False
    """The file is short by its nature, and `files.max_small_bytes` is its limit."""
    beside: tuple[str, ...] = ()
    """Modules that read further tables for it."""


# fmt: off
READERS = (
    Reader("scd_core.inputs.config.load_config", "settings", is_small=True),
    Reader("scd_core.identify.package.read_package", "model.json", is_small=True),
    Reader("scd_core.identify.expected.check_expected", "pictures with what a model gave for them"),
    Reader(
        "scd_core.inputs.detections.read_detections", "boxes, and tables of a Camtrap DP package beside them",
        beside=("scd_core.inputs.camtrap_dp",),
    ),
    Reader("scd_core.inputs.predictions.read_predictions", "names that another tool gave"),
    Reader(
        "scd_core.inputs.labels.read_labels", "labels, also Timelapse's and Label Studio's, and tables beside them",
        beside=("scd_core.inputs.camtrap_dp",),
    ),
    Reader("scd_core.inputs.pairs.read_pair_answers", "answers to pairs of pictures"),
    Reader("scd_core.inputs.flags.read_flags", "files to look at"),
    Reader("scd_core.inputs.expected.read_expected", "individuals expected at places"),
    Reader("scd_core.inputs.relations.read_relations", "what a model's names are"),
    Reader("deployments.cli.options.lines_of", "names of a model's classes"),
    Reader("scd_core.media.manifest.read_manifest", "a manifest that is SOURCE itself"),
    Reader("scd_core.media.manifest.find_manifest", "datapackage.json, deployments.csv and media.csv", is_found=True),
)
# fmt: on
"""All of them that there are. Each reads through :func:`scd_core.inputs.text.read_object`, and a test goes through the list."""

_limits: ContextVar[FilesConfig] = ContextVar("trapaudit_file_limits", default=FilesConfig())  # noqa: B039 - it is frozen


@contextmanager
def file_limits(limits: FilesConfig) -> Iterator[None]:
    """Hold files that are read inside to these limits."""
    token = _limits.set(limits)
    try:
        yield
    finally:
        _limits.reset(token)


def current_limits() -> FilesConfig:
    """The limits of :func:`file_limits`; outside of it, the defaults."""
    return _limits.get()


def read_in_time(read: Callable[[], T], where: str) -> T:
    """What a reading gives.

    Args:
        read: gets the file; its thread is left to itself where it takes too long.
        where: name of the file in messages.

    Raises:
        InputError: it took longer than `files.max_seconds`.
        Exception: what the reading raised.
    """
    seconds = current_limits().max_seconds
    found: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            found.append(read())
        except BaseException as error:  # noqa: BLE001 - it is raised in the caller's thread
            failed.append(error)

    thread = threading.Thread(target=copy_context().run, args=(run,), name=f"read {where}", daemon=True)
    thread.start()
    thread.join(seconds)
    if failed:
        raise failed[0]
    if not found:
        raise InputError(f"{where}: was not read within {seconds:g} s, the limit files.max_seconds")
    return found[0]


def in_time(rows: Iterable[T], where: str) -> Iterator[T]:
    """Rows of a file as they are, as long as they do not take too long in all.

    Raises:
        InputError: they took longer than `files.max_seconds`.
    """
    seconds, began = current_limits().max_seconds, time.monotonic()
    for number, row in enumerate(rows, start=1):
        if number % _ROWS == 0 and time.monotonic() - began > seconds:
            raise InputError(
                f"{where}: row {number} was reached after the {seconds:g} s of files.max_seconds; split it"
            )
        yield row

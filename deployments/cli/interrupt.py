"""Ctrl-C and SIGTERM: one line, the exit code of the signal, and no process left behind, at any moment of a run.

A run may be killed at any moment without harm (docs/operations.md), so nothing is waited for. Python runs its own signal
handlers between two instructions of the main thread only, which may be deep inside a library; so the signal's number goes
through a pipe to a thread of its own, which ends the process.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any, TextIO, cast

__all__ = ["exit_on_signals"]

_LINE = b"trapaudit: interrupted; what was finished is kept, run again to go on\n"
_SHOW_CURSOR = b"\r\x1b[?25h"
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_CHILD_SECONDS = 3.0
"""How long child processes get to end by themselves (s)."""


class _Errors:
    """A text stream that knows whether what was written to it last ends a line: a bar of progress does not at once."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.ends_line = True

    def write(self, text: str) -> int:
        if text:
            self.ends_line = text.endswith("\n")
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def exit_on_signals() -> None:
    """From now on SIGINT and SIGTERM end this process and its child processes; call it once, in the main thread."""
    sys.stderr = cast("TextIO", _Errors(sys.stderr))
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # a shell starts what it puts into the background so
            signal.signal(number, lambda *_: None)
    threading.Thread(target=_wait, args=(reading,), name="signals", daemon=True).start()


def _wait(reading: int) -> None:
    while (number := os.read(reading, 1)[0]) not in _SIGNALS:  # other signals that a library handles come here too
        pass
    ends_at_once = threading.Thread(target=_end_at_once, args=(reading, number), daemon=True)
    ends_at_once.start()
    try:
        with contextlib.suppress(OSError):  # nobody may read any more: `trapaudit ... | tee`, a closed terminal
            first = b"" if getattr(sys.stderr, "ends_line", True) else b"\n"
            _print_last((_SHOW_CURSOR if sys.stderr.isatty() else first) + _LINE)
        _end_children()
    finally:
        os._exit(128 + number)


def _print_last(line: bytes) -> None:
    """Print a line after which nothing else of this process is printed."""
    errors, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    os.write(errors, line)


def _end_at_once(reading: int, first: int) -> None:
    """A second signal does not wait for child processes."""
    while os.read(reading, 1)[0] not in _SIGNALS:
        pass
    for child in _descendants():
        _send(child, signal.SIGKILL)
    os._exit(128 + first)


def _end_children() -> None:
    """End what this run started, such as a Prefect server or Ray of its own."""
    children = _descendants()
    for child in children:
        _send(child, signal.SIGTERM)
    end = time.monotonic() + _CHILD_SECONDS
    while time.monotonic() < end and any(map(_is_alive, children)):
        time.sleep(0.05)
    for child in {*children, *_descendants()}:
        _send(child, signal.SIGKILL)


def _descendants() -> list[int]:
    """Processes started by this one, by those and so on; none where the system has no /proc."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text(errors="replace").rpartition(")")[2].split()
        except OSError:  # it ended just now
            continue
        parents.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, waiting = [], [os.getpid()]
    while waiting:
        below = parents.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _send(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except OSError:  # it ended meanwhile
        return

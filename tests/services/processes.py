"""Services started by a test, and every process that they start in turn: found, killed, and none left."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
import urllib.request
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.services.wait import until

__all__ = ["Services", "heed_interrupts"]

_RUN, _PART = "TRAPAUDIT_TEST_RUN", "TRAPAUDIT_TEST_PART"


def heed_interrupts() -> None:
    """In a child: SIGINT ends it, also where the tests themselves run in the background of a shell and ignore it.

    A Prefect worker that is asked to end sends itself SIGINT.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Services:
    """Starts commands as services of one test run. Each process carries the run's mark in its environment, which those
    that it starts inherit, so a worker's flow runs are found without knowing how the worker starts them (Linux only).

    Args:
        folder: logs go here, one file per service.
        env: environment of every service.
    """

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        self.folder = folder
        self.run = uuid.uuid4().hex
        self.env = {**env, _RUN: self.run}
        self._started: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, command: Sequence[object], **env: str) -> None:
        """Start a service; its output is appended to its log."""
        with self.log_path(name).open("ab") as log:
            self._started[name] = subprocess.Popen(
                [str(part) for part in command], env={**self.env, _PART: name, **env},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd=self.folder,
                preexec_fn=heed_interrupts,
            )  # fmt: skip

    def wait_for(self, name: str, url: str, seconds: float = 900) -> None:
        """Wait until a service answers at an address.

        Raises:
            AssertionError: it ended, or did not answer in time.
        """

        def answers() -> bool:
            assert self._started[name].poll() is None, f"{name} ended: {self.log(name)[-1500:]}"
            with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=60) as answer:
                return answer.status == 200
            return False

        until(answers, seconds, lambda: f"{name} answers at {url}: {self.log(name)[-1500:]}", pause=0.25)

    def stop(self, name: str, seconds: float = 300) -> int:
        """Ask a service to end; its exit code."""
        process = self._started.pop(name)
        process.terminate()
        try:
            return process.wait(seconds)
        finally:
            self.kill(name)

    def kill(self, name: str) -> list[str]:
        """Kill a service at once with every process it started; their command lines."""
        killed = self._kill(_PART, name)
        if (process := self._started.pop(name, None)) is not None:
            process.wait(120)
        return killed

    def kill_all(self) -> list[str]:
        """Kill what is left of the run; the command lines of what was."""
        killed = self._kill(_RUN, self.run)
        for process in self._started.values():
            process.wait(120)
        self._started.clear()
        return killed

    def left(self) -> list[str]:
        """Command lines of the run's processes that are still there."""
        return [_command(pid) for pid in self._pids(_RUN, self.run)]

    def log_path(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def log(self, name: str) -> str:
        return self.log_path(name).read_text(errors="replace")

    def _kill(self, variable: str, value: str) -> list[str]:
        killed = []
        # More than once: one that was just being started is not seen at first.
        while pids := self._pids(variable, value):
            for pid in pids:
                killed.append(_command(pid))
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.1)
        return killed

    def _pids(self, variable: str, value: str) -> list[int]:
        marks = {f"{_RUN}={self.run}".encode(), f"{variable}={value}".encode()}
        found = []
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit():
                continue
            with contextlib.suppress(OSError):  # it ended, or is another user's
                if marks <= set((folder / "environ").read_bytes().split(b"\0")):
                    found.append(int(folder.name))
        return found


def _command(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    return str(pid)

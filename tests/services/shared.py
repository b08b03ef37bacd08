"""Services that all workers of a test run share: the first that needs one starts it, the last that used it ends it."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.services.wait import is_running, until

__all__ = ["prefect_api", "run_folder", "shared"]


def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of this test run, the same for all of its workers."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@contextmanager
def shared(
    folder: Path, name: str, start: Callable[[], dict[str, Any]], stop: Callable[[dict[str, Any]], None]
) -> Iterator[dict[str, Any]]:
    """What a service that runs is known by.

    Args:
        folder: of the test run.
        name: of the service.
        start: starts it and gives what it is known by, as JSON has it.
        stop: ends it, given that.
    """
    with _state(folder / f"{name}.json") as state:
        if not state["users"]:
            state["known"] = start()
        state["users"].append(os.getpid())
        known = state["known"]
    try:
        yield known
    finally:
        with _state(folder / f"{name}.json") as state:
            state["users"].remove(os.getpid())
            if not state["users"]:
                stop(known)


@contextmanager
def _state(path: Path) -> Iterator[dict[str, Any]]:
    """The service's users and what it is known by, for one process at a time; users that died are taken out."""
    with path.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        text = file.read()
        state: dict[str, Any] = json.loads(text) if text else {"users": [], "known": {}}
        state["users"] = [pid for pid in state["users"] if is_running(pid)]
        yield state
        file.seek(0)
        file.truncate()
        file.write(json.dumps(state))


@contextmanager
def prefect_api(folder: Path, port: int) -> Iterator[str]:
    """The address of one Prefect server with a database of its own, on `port` if it is started here."""
    home = folder / "prefect"

    def start() -> dict[str, Any]:
        home.mkdir(exist_ok=True)
        command = [
            sys.executable,
            "-m",
            "prefect",
            "server",
            "start",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--no-ui",
        ]
        env = os.environ | {
            "PREFECT_HOME": str(home),
            "PREFECT_LOGGING_LEVEL": "WARNING",
            "PREFECT_PROFILE": "ephemeral",
        }
        with (home / "server.log").open("ab") as log:
            process = subprocess.Popen(command, env=env, stdout=log, stderr=log, start_new_session=True)
        url = f"http://127.0.0.1:{port}/api"

        def look() -> bool:
            assert process.poll() is None, f"it ended: {log_end()}"
            with suppress(OSError), urllib.request.urlopen(f"{url}/health", timeout=60):
                return True
            return False

        def log_end() -> str:
            return (home / "server.log").read_text()[-500:]

        try:
            until(look, 600, lambda: f"start of Prefect's server: {log_end()}", pause=0.2)
        except BaseException:
            process.kill()
            raise
        return {"url": url, "pid": process.pid}

    def stop(known: dict[str, Any]) -> None:
        with suppress(ProcessLookupError):
            os.killpg(known["pid"], 15)

    with shared(folder, "prefect", start, stop) as known:
        yield known["url"]

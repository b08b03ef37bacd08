"""A port that a test was given stays its own until its server listens there."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.services import ports

ROOT = Path(__file__).resolve().parents[2]
OTHER = """
import sys
from tests.services import ports
first = int(sys.argv[1])
ports._candidates = lambda: range(first, first + 60)
print(*[ports.free_port() for _ in range(20)])
"""


def test_no_port_is_given_twice_to_this_process_or_to_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of sixty, twenty each: by chance alone some would be the same."""
    first = ports._candidates()[0]
    monkeypatch.setattr(ports, "_candidates", lambda: range(first, first + 60))
    ours = [ports.free_port() for _ in range(20)]
    command = [sys.executable, "-c", OTHER, str(first)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert len({*ours, *map(int, done.stdout.split())}) == 40


def test_a_port_at_which_somebody_listens_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        monkeypatch.setattr(ports, "_candidates", lambda: [other.getsockname()[1]])
        with pytest.raises(AssertionError, match="no port is free"):
            ports.free_port()


def test_the_system_gives_nobody_a_port_that_may_be_given_here() -> None:
    may_be_given = set(ports._candidates())
    taken = []
    for _ in range(100):
        taken.append(socket.socket())
        taken[-1].bind(("127.0.0.1", 0))
    assert not may_be_given & {other.getsockname()[1] for other in taken}
    for other in taken:
        other.close()

"""What tests wait with: it sees what comes late, and fails where nothing comes."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from tests.services.wait import is_running, until


def test_what_comes_late_is_found() -> None:
    looks = iter([None, 0, "there"])
    assert until(lambda: next(looks), 60, "it", pause=0.001) == "there"


def test_what_never_comes_is_a_failure_that_names_it() -> None:
    with pytest.raises(AssertionError, match="not within 0 s: the end of it"):
        until(lambda: None, 0.01, lambda: "the end of it", pause=0.001)


def test_what_came_while_nobody_looked_is_found_at_the_last_look() -> None:
    """The machine may do something else for longer than the limit."""
    there = threading.Event()
    looks: list[bool] = []

    def look() -> bool:
        looks.append(there.is_set())
        if len(looks) == 1:
            threading.Event().wait(0.05)
            there.set()
            return False
        return looks[-1]

    assert until(look, 0.01, "it", pause=0.001)


def test_an_error_ends_the_waiting() -> None:
    with pytest.raises(ZeroDivisionError):
        until(lambda: 1 // 0, 60, "it")


def test_a_process_that_ended_does_not_run_though_nobody_has_waited_for_it() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert is_running(child.pid)
    child.kill()
    until(lambda: not is_running(child.pid), 60, "end of a killed process")
    assert child.wait(60) == -9
    assert not is_running(child.pid)

"""A service that workers share is started once and ended once, also where a worker dies."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.services.shared import shared


def test_the_first_starts_it_and_the_last_ends_it(tmp_path: Path) -> None:
    calls: list[str] = []

    def use(number: int) -> Any:
        def start() -> dict[str, Any]:
            calls.append(f"start {number}")
            return {"port": number}

        return shared(tmp_path, "it", start, lambda known: calls.append(f"stop {known['port']}"))

    with use(1) as first:
        with use(2) as second:
            assert first == second == {"port": 1}
        assert calls == ["start 1"]
    assert calls == ["start 1", "stop 1"]
    with use(3) as third:
        assert third == {"port": 3}


def test_a_user_that_died_keeps_nothing_alive(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (tmp_path / "it.json").write_text(json.dumps({"users": [gone.pid], "known": {"port": 1}}))
    with shared(tmp_path, "it", lambda: {"port": 2}, lambda known: None) as known:
        assert known == {"port": 2}


def test_a_service_that_does_not_start_is_started_by_the_next(tmp_path: Path) -> None:
    def fail() -> dict[str, Any]:
        raise OSError("no port")

    with pytest.raises(OSError, match="no port"), shared(tmp_path, "it", fail, lambda known: None):
        pass
    with shared(tmp_path, "it", lambda: {"port": 2}, lambda known: None) as known:
        assert known == {"port": 2}

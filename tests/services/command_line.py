"""The command line in this process, and a small audit to run it on."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from scd_core.scenes import write_scenes


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


@pytest.fixture
def trapaudit(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Run `trapaudit ARGS` and give its exit code and output."""
    from deployments.cli import main as cli

    def call(*args: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["trapaudit", *map(str, args)])
        monkeypatch.setenv("COLUMNS", "200")
        capsys.readouterr()
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
        printed = capsys.readouterr()
        return Outcome(code, printed.out, printed.err)

    return call


@pytest.fixture(scope="session")
def card(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small card of scenes: images, labels, detections, truth."""
    folder = tmp_path_factory.mktemp("scenes") / "card"
    write_scenes(str(folder), world="demo", n_events=12, seed=21, split="audit")
    return folder

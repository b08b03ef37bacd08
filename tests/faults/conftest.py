"""Fixtures of the fault tests: one process that forks runs, for all of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from deployments.cli.main import app

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "scd_core" / "scenes" / "models" / "shortcut"
FAST = {
    "media": {"shard_size": 6, "fetch_workers": 4},
    "masks": {"steps": 3},
    "triage": {"control_rate": 0.5},
}
"""Settings of a run that is small and still has several shards of every stage."""


@pytest.fixture(scope="session")
def child_env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment of a child process, for a run that needs no Prefect server."""
    return {
        "PREFECT_HOME": str(tmp_path_factory.mktemp("prefect")),
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_LOGGING_LEVEL": "CRITICAL",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
    }


@dataclass
class Runner:
    """Runs audits in children of one warm process."""

    process: subprocess.Popen[str]
    log: Path

    def run(
        self,
        source: str,
        out: str,
        *,
        kill: dict[str, Any] | None = None,
        env: dict[str, str] | None = None,
        config: dict[str, Any] | None = None,
        model: str = str(MODEL),
        report: bool = False,
    ) -> tuple[int, dict[str, int], str]:
        """Exit status (-9 where it was killed), calls per hook, and what it printed."""
        call = {"source": source, "model": model, "out": out, "settings": config or FAST, "report": report}
        return self._order("audit", call, kill, env)

    def forget(self, out: str, *patterns: str, kill: dict[str, Any] | None = None) -> tuple[int, dict[str, int], str]:
        """As :meth:`run`, of pictures that are forgotten by their files."""
        return self._order("forget", {"out": out, "patterns": list(patterns)}, kill, None)

    def _order(
        self, what: str, call: dict[str, Any], kill: dict[str, Any] | None, env: dict[str, str] | None
    ) -> tuple[int, dict[str, int], str]:
        start = self.log.stat().st_size if self.log.exists() else 0
        order = {"what": what, "call": call, "env": env or {}, "log": str(self.log), "kill": kill}
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        with self.log.open("rb") as handle:
            handle.seek(start)
            said = handle.read().decode(errors="replace")
        return answer["status"], answer["calls"], said


@pytest.fixture(scope="session")
def runner(child_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    log = tmp_path_factory.mktemp("runs") / "runs.log"
    with log.with_suffix(".zygote").open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.zygote"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, **child_env},
            cwd=ROOT,
        )
    yield Runner(process, log)
    process.stdin.close()
    process.wait(600)


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A card of eleven scenes, a truncated file, an empty one and a duplicate."""
    folder = tmp_path_factory.mktemp("scenes")
    done = CliRunner().invoke(app, ["scenes", str(folder), "--events", "6"])
    assert done.exit_code == 0, done.output
    images = folder / "images"
    first = sorted(images.rglob("*.JPG"))[0]
    data = first.read_bytes()
    first.with_name("cut.JPG").write_bytes(data[: len(data) // 2])
    first.with_name("empty.JPG").write_bytes(b"")
    first.with_name("twin.JPG").write_bytes(data)
    return images

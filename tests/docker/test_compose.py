"""`docker/compose.yaml` as podman-compose, an engine's own reader, resolves it."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
OURS = ("prefect", "deploy", "worker", "relay")


def resolved(tmp_path: Path, env: str, *more: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / ".env").write_text(env)
    tool = importlib.util.find_spec("podman_compose")
    assert tool is not None and tool.origin is not None
    files = [part for name in ("compose.yaml", *more) for part in ("-f", str(ROOT / "docker" / name))]
    command = [sys.executable, tool.origin, *files, "--env-file", str(tmp_path / ".env"), "config"]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=tmp_path, env={"PATH": f"{tmp_path}:/usr/bin:/bin"}
    )


@pytest.fixture
def example(tmp_path: Path) -> str:
    """The example, filled in; and a stand-in for podman, whose version podman-compose reads."""
    (tmp_path / "podman").write_text("#!/bin/sh\necho podman version 4.3.1\n")
    (tmp_path / "podman").chmod(0o755)
    lines = (ROOT / "docker" / ".env.example").read_text().splitlines()
    return "\n".join(line + "0123456789abcdef" * 2 if line.endswith("=") else line for line in lines)


@pytest.mark.parametrize("more", [(), ("compose.gpu.yaml",)])
def test_it_resolves_and_what_runs_has_limits(tmp_path: Path, example: str, more: tuple[str, ...]) -> None:
    done = resolved(tmp_path, example, *more)
    assert done.returncode == 0, done.stderr
    services: dict[str, Any] = yaml.safe_load(done.stdout)["services"]
    assert set(services) >= {*OURS, "postgres", "s3", "s3-setup"}
    for name, service in services.items():
        assert "${" not in str(service), name
        assert service["logging"]["options"] == {"max-size": "10m", "max-file": "5"}, name
        if name != "s3-setup":
            assert service["mem_limit"], name
    for name in OURS:
        assert services[name]["read_only"] is True
        assert services[name]["cap_drop"] == ["ALL"]
        assert services[name]["security_opt"] == ["no-new-privileges:true"]
        assert services[name]["tmpfs"] == ["/tmp"]
    server = services["prefect"]
    assert server["environment"]["PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE"].endswith(".filesystem")
    assert [volume.split(":")[1] for volume in map(str, server["volumes"])] == [server["environment"]["PREFECT_HOME"]]
    assert services["worker"]["environment"]["TRAPAUDIT_GPU_LIMIT" if more else "AWS_DEFAULT_REGION"]


@pytest.mark.parametrize("secret", ["POSTGRES_PASSWORD", "TRAPAUDIT_RELAY_SECRET", "AWS_SECRET_ACCESS_KEY"])
def test_without_a_secret_it_does_not_start(tmp_path: Path, example: str, secret: str) -> None:
    lines = [line for line in example.splitlines() if not line.startswith(f"{secret}=")]
    done = resolved(tmp_path, "\n".join(lines))
    assert done.returncode != 0
    assert "set it in docker/.env" in done.stderr + done.stdout

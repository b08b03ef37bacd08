"""Containers of the images that `docker/image.sh` builds: Debian's podman and runc, on the machine's own network."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.services.servers import unavailable

__all__ = ["build", "engine", "running", "start"]

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ("buildah", "debootstrap", "podman", "runc")
HARD = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
"""What `docker/compose.yaml` takes from each service of ours."""


def build() -> None:
    """Build both images by the script that people run; what is built already is taken from its layers."""
    absent = [tool for tool in TOOLS if shutil.which(tool) is None]
    if absent or os.getuid() != 0:
        unavailable(f"{', '.join(absent) or 'root'} is needed to build the images")
    subprocess.run([ROOT / "docker" / "image.sh"], check=True)


def engine(*words: str | Path, seconds: float = 600) -> subprocess.CompletedProcess[str]:
    """Run a command of podman; its exit status is the caller's to judge."""
    command = ["podman", "--runtime", "runc", "--cgroup-manager", "cgroupfs", *words]
    environment = os.environ | {"STORAGE_DRIVER": os.environ.get("STORAGE_DRIVER", "overlay")}
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds, env=environment)


def start(image: str, *command: str, options: Sequence[str | Path] = ()) -> subprocess.CompletedProcess[str]:
    """Run a command in a new container of an image, with a root that cannot be written and no rights, to its end."""
    return engine("run", "--rm", *_limits(), *HARD, *options, f"localhost/trapaudit:{image}", *command)


@contextmanager
def running(name: str, image: str, *command: str, options: Sequence[str | Path] = ()) -> Iterator[str]:
    """A container that stays until the end of the block; its name."""
    words = ["run", "--detach", "--name", name, *_limits(), *HARD, *options, f"localhost/trapaudit:{image}", *command]
    done = engine(*words)
    assert done.returncode == 0, done.stderr
    try:
        yield name
    finally:
        engine("rm", "--force", "--time", "10", name)


def _limits() -> list[str]:
    """The host's network, and limits that any machine accepts; podman runs health checks by systemd, so tests run them."""
    return ["--no-healthcheck", "--network", "host", "--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096"]

"""The Dockerfile's install steps, run here: build the wheel, install it alone, start the commands."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of what the Dockerfile copies, so no stray file of this checkout gets in."""
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    for name in ("scd_core", "tasks", "flows", "deployments"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(source)]
    subprocess.run(command, check=True, capture_output=True)
    (found,) = out.glob("trapaudit-*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel; its dependencies are those of this one, behind it on the path."""
    folder = tmp_path_factory.mktemp("venv")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / "bin" / "python"
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-index", wheel],
        check=True,
    )
    site = next((folder / "lib").glob("python*/site-packages"))
    (site / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return folder


def test_the_wheel_holds_what_is_read_at_run_time(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder in ("scd_core", "flows", "tasks", "deployments"):
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and path.suffix not in (".pyc",):
                assert path.relative_to(ROOT).as_posix() in names
    assert not [name for name in names if name.startswith(("tests/", "docker/", "benchmarks/"))]


def run(installed: Path, *command: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [installed / "bin" / command[0], *command[1:]],
        capture_output=True,
        text=True,
        cwd=installed,
        env=env,
        check=False,
    )


def test_the_command_starts_from_the_wheel(installed: Path) -> None:
    done = run(installed, "trapaudit", "--help")
    assert done.returncode == 0, done.stderr
    assert "nightly" in done.stdout


def test_the_data_is_found_from_the_wheel(installed: Path) -> None:
    code = (
        "from deployments.deploy_file import packaged_file; from scd_core.scenes import packaged_model\n"
        "print(packaged_file()); print(packaged_model('shortcut'))\n"
        "import yaml; print(len(yaml.safe_load(packaged_file().read_text())['deployments']))"
    )
    done = run(installed, "python", "-c", code)
    assert done.returncode == 0, done.stderr
    file, model, count = done.stdout.splitlines()
    assert Path(file).is_relative_to(installed)
    assert Path(model).is_relative_to(installed)
    assert count == "3"


def test_the_relay_starts_from_the_wheel_and_says_what_is_missing(installed: Path) -> None:
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("TRAPAUDIT_", "PYTHONPATH"))}
    command = [installed / "bin" / "python", "-m", "deployments.relay"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=installed, env=bare, check=False)
    assert done.returncode == 2
    assert done.stderr.strip() == "trapaudit: relay: sources: name at least one s3:// URL to watch"


def test_the_health_check_tells_a_dead_service(installed: Path) -> None:
    assert run(installed, "python", "-m", "deployments.health", "http://127.0.0.1:9/health").returncode == 1

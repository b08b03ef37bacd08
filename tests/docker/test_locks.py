"""The images' lock files as pip reads them: cut out of the one lock, whole for every Python, and small enough."""

from __future__ import annotations

import importlib.metadata
import itertools
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ("base", "worker", "torch", "build")
PYTHONS = ("3.11", "3.12", "3.13")


def requirements(file: str) -> Iterator[tuple[Requirement, frozenset[str]]]:
    """Requirements of a lock file as pip reads them, each with its hashes."""
    for line in (ROOT / file).read_text().replace("\\\n", " ").splitlines():
        if line and not line.startswith("#"):
            stated, *hashes = line.split("--hash=")
            yield Requirement(stated), frozenset(found.strip() for found in hashes)


def installed(file: str, python: str, platform: str = "linux", machine: str = "x86_64") -> dict[str, Any]:
    """Name -> version and hashes of what ``pip install -r`` takes from a lock file there."""
    there = {
        "python_version": python, "python_full_version": f"{python}.9", "sys_platform": platform, "os_name": "posix",
        "platform_machine": machine, "platform_system": platform.capitalize(), "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }  # fmt: skip
    found: dict[str, Any] = {}
    for requirement, hashes in requirements(file):
        if requirement.marker is None or requirement.marker.evaluate(there):
            name = canonicalize_name(requirement.name)
            assert name not in found, f"{file}: {name} twice for Python {python}"
            found[name] = (str(requirement.specifier), hashes)
    return found


def names(file: str) -> set[str]:
    """Names of a lock file's packages, wherever they are installed."""
    return {canonicalize_name(requirement.name) for requirement, _ in requirements(file)}


def needed_here() -> set[str]:
    """What trapaudit needs in this environment, by the metadata of the packages that are installed."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = (declared["optional-dependencies"][extra] for extra in ("relay", "postgres", "timm"))
    waiting = [Requirement(text) for text in itertools.chain(declared["dependencies"], *extras)]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        requirement = waiting.pop()
        name, wanted = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if (name, wanted) in seen:
            continue
        seen.add((name, wanted))
        for text in importlib.metadata.requires(name) or ():
            further = Requirement(text)
            if further.marker is None or any(further.marker.evaluate({"extra": extra}) for extra in ("", *wanted)):
                waiting.append(further)
    return {name for name, _ in seen}


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize(("platform", "machine"), [("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64")])
def test_the_images_locks_are_cut_out_of_the_one_lock(python: str, platform: str, machine: str) -> None:
    """Guards against a package locked at one version per Python (numpy, scipy, networkx) of which one was lost."""
    whole = installed("requirements.lock", python, platform, machine)
    seen: set[str] = set()
    for name in LOCKS:
        part = installed(f"docker/{name}.lock", python, platform, machine)
        listed = names(f"docker/{name}.lock")
        assert part == {package: whole[package] for package in listed & whole.keys()}, "run `python docker/lock.py`"
        assert all(hashes for _, hashes in part.values())
        if name != "build":
            assert not seen & listed, "a package is in one lock of the runtime"
            seen |= listed
    assert len(whole) > 150 and len(seen) > 120


def test_the_images_locks_hold_what_runs_and_nothing_else() -> None:
    base, worker, torch = (names(f"docker/{name}.lock") for name in ("base", "worker", "torch"))
    assert needed_here() <= base | worker | torch, "run `python docker/lock.py`"
    assert {"torch", "torchvision"} <= torch and "timm" in worker
    assert not {"pytest", "mypy", "moto", "hypothesis", "ruff"} & (base | worker | torch)


def test_the_locks_hold_two_versions_where_pythons_differ() -> None:
    """The fixture of the test above: without such packages it would not see one that is lost."""
    old, new = (installed("requirements.lock", python) for python in ("3.11", "3.13"))
    differ = {name for name in old.keys() & new.keys() if old[name][0] != new[name][0]}
    assert {"numpy", "scipy"} <= differ & names("docker/base.lock")


LEFT_OUT = ("pandas", "scipy", "sklearn", "pyarrow")
"""Packages whose own tests are taken out of the image."""

COMPILED = 1.21
"""Bytes of a compiled module per byte of its source; measured on 500 modules of these packages."""


def test_an_image_without_torch_is_below_a_gigabyte() -> None:
    """The installed size of its packages here, what pip compiles of them, and 150 MB for Debian and Python."""
    total, seen = 0.0, 0
    for name in names("docker/base.lock"):
        try:
            files = importlib.metadata.distribution(name).files or []
        except importlib.metadata.PackageNotFoundError:
            continue  # of another platform
        seen += 1
        for file in files:
            if file.suffix == ".pyc" or (file.parts[0] in LEFT_OUT and "tests" in file.parts[:-1]):
                continue
            total += (file.size or 0) * (1 + COMPILED * (file.suffix == ".py"))
    assert seen > 100
    assert f"find {' '.join(LEFT_OUT)} -type d -name tests" in (ROOT / "docker" / "Dockerfile").read_text()
    print(f"{total / 1e6:.0f} MB of packages")
    assert total + 150e6 < 1e9, f"{total / 1e6:.0f} MB of packages"


REFUSE = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        parts = name.split(".")
        if parts[0] in {packages} and (not {only} or {only} & set(parts)):
            raise ModuleNotFoundError(name + " is not in the image", name=name)
sys.meta_path.insert(0, Refuse())
"""


def runs_without(packages: set[str], only: set[str], code: str) -> None:
    text = REFUSE.format(packages=packages, only=only or "set()") + code
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr[-1500:]


def test_nothing_imports_the_tests_that_are_taken_out() -> None:
    runs_without(
        set(LEFT_OUT),
        {"tests"},
        "import deployments.deploy, deployments.cli.demo, deployments.doctor, flows.audit_uploads\n"
        "import flows.nightly_audit, deployments.relay.app\n"
        "import scd_core.audit, scd_core.identify, scd_core.masks, scd_core.reclassify, scd_core.scenes, scd_core.triage\n"
        "import pandas, pyarrow.parquet, scipy.stats, scipy.ndimage, sklearn.cluster, sklearn.linear_model, duckdb",
    )


def test_what_the_server_image_runs_needs_no_torch() -> None:
    """`trapaudit deploy` does: it reads the flows, which import it; so compose runs that in the worker's image."""
    missing = names("docker/torch.lock") | names("docker/worker.lock")
    modules = {
        module
        for module, owners in importlib.metadata.packages_distributions().items()
        if missing & {owner.lower().replace("_", "-") for owner in owners}
    }
    assert {"torch", "torchvision", "timm", "sympy"} <= modules
    runs_without(
        modules, set(),
        "import deployments.relay.app, deployments.relay.events, deployments.health, flows.logs, deployments.cli.main\n"
        "from prefect.server.api.server import create_app\ncreate_app(ephemeral=True)",
    )  # fmt: skip
    services = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())["services"]
    for service in services.values():
        if service.get("image") == "trapaudit:server":
            assert service["command"][:2] in (["prefect", "server"], ["python", "-m"])

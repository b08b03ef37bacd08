"""The real parts, together: Prefect's server on PostgreSQL, a process worker, the relay, Ceph's object gateway with a
bucket notification.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import s3fs
import yaml

from scd_core.scenes import packaged_model, write_scenes
from tests.services.ports import free_port
from tests.services.processes import Services
from tests.services.recipes import recipe
from tests.services.servers import S3Server, unavailable
from tests.services.wait import until

ROOT = Path(__file__).resolve().parents[2]
POSTGRES = ROOT / "tests" / "services" / "postgres.sh"
SECRET = "5c1f0a77e4b92d3886aa41ce07d95b1f"
SOURCE, MODEL, OUT, CONFIG = "s3://cards/2026", "s3://models/shortcut", "s3://audit", "s3://models/config.yaml"
SETTINGS: dict[str, Any] = {
    "media": {"path_template": "{card}/{camera_id}/{deployment_id}", "batch_template": "{card}", "shard_size": 16},
    "triage": {"control_rate": 0.3},
}
WORKER = ["-m", "prefect", "worker", "start", "--pool", "trapaudit-process", "--type", "process", "--with-healthcheck"]


class Stack:
    """Everything that runs, and what a person would do to it."""

    def __init__(self, folder: Path, ceph: S3Server, postgres_port: int) -> None:
        self.ceph = ceph
        self.s3 = ceph.client()
        self.prefect_port, self.relay_port, self.worker_port = free_port(), free_port(), free_port()
        self.api = f"http://127.0.0.1:{self.prefect_port}/api"
        self.env = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PREFECT_"))} | {
            **ceph.env(),
            "PREFECT_HOME": str(folder / "home"),
            "PREFECT_API_URL": self.api,
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "TRAPAUDIT_SOURCE": SOURCE, "TRAPAUDIT_MODEL": MODEL, "TRAPAUDIT_OUT": OUT, "TRAPAUDIT_CONFIG": CONFIG,
        }  # fmt: skip
        self._database = f"postgresql+asyncpg://prefect@127.0.0.1:{postgres_port}/prefect"
        self.services = Services(folder, self.env)

    def start_server(self) -> None:
        command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--no-ui"]
        self.services.start(
            "prefect", [*command, "--port", self.prefect_port],
            PREFECT_SERVER_DATABASE_CONNECTION_URL=self._database, PREFECT_LOGGING_LEVEL="WARNING",
        )  # fmt: skip
        self.services.wait_for("prefect", f"{self.api}/health")

    def start_relay(self) -> None:
        self.services.start(
            "relay", [sys.executable, "-m", "deployments.relay"], TRAPAUDIT_RELAY_SECRET=SECRET,
            TRAPAUDIT_RELAY_PORT=str(self.relay_port), TRAPAUDIT_RELAY_QUIET_SECONDS="3",
        )  # fmt: skip
        self.services.wait_for("relay", f"http://127.0.0.1:{self.relay_port}/health")

    def start_worker(self) -> None:
        self.services.start(
            "worker", [sys.executable, *WORKER], PREFECT_WORKER_WEBSERVER_PORT=str(self.worker_port),
            PREFECT_LOGGING_SETTINGS_PATH=str(ROOT / "deployments" / "logging.yaml"),
        )  # fmt: skip
        self.services.wait_for("worker", f"http://127.0.0.1:{self.worker_port}/health")

    def trapaudit(self, *arguments: str) -> str:
        """One of the commands; what it printed.

        Raises:
            AssertionError: it failed.
        """
        command = [str(Path(sys.executable).with_name("trapaudit")), *arguments]
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, check=False, timeout=900)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def prepare_storage(self) -> None:
        """Buckets, the model, the settings, and the notification of uploads to the relay."""
        for name in ("cards", "models", "audit"):
            self.s3.create_bucket(Bucket=name)
        for path in packaged_model("shortcut").glob("*.*"):
            self.s3.put_object(Bucket="models", Key=f"shortcut/{path.name}", Body=path.read_bytes())
        self.s3.put_object(Bucket="models", Key="config.yaml", Body=yaml.safe_dump(SETTINGS).encode())
        env = {"RELAY_URL": f"http://127.0.0.1:{self.relay_port}", "TRAPAUDIT_RELAY_SECRET": SECRET}
        subprocess.run([sys.executable, "-c", recipe("Ceph")], env=self.env | env, check=True, timeout=300)

    def upload(self, card: str, folder: Path, *, marker: bool = True) -> list[str]:
        """Put a card's images into the bucket, in their order, and then a marker; their paths below SOURCE."""
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        names = [f"{card}/{path.relative_to(folder).as_posix()}" for path in files]
        for name, path in zip(names, files, strict=True):
            self.s3.put_object(Bucket="cards", Key=f"2026/{name}", Body=path.read_bytes())
        if marker:
            self.s3.put_object(Bucket="cards", Key=f"2026/{card}/_SUCCESS", Body=b"")
        return names

    def keys(self, prefix: str) -> list[str]:
        """Objects of OUT below a prefix."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket="audit", Prefix=prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", ())]

    def commits(self) -> dict[str, dict[str, Any]]:
        """Batch key -> content of its commit."""
        found = {}
        for key in self.keys("commits/"):
            content = json.loads(self.s3.get_object(Bucket="audit", Key=key)["Body"].read())
            found[content["batch_key"]] = content
        return found

    def runs(self, *deployments: str) -> list[dict[str, Any]]:
        """Flow runs of deployments, the oldest first, as the server tells them; without names, all flow runs there are."""
        only = {"deployments": {"name": {"any_": list(deployments)}}} if deployments else {}
        return self._post("/flow_runs/filter", {"sort": "EXPECTED_START_TIME_ASC", "limit": 200, **only})

    def call(self, deployment: str) -> str:
        """Start a run of a deployment; its id."""
        (found,) = self._post("/deployments/filter", {"deployments": {"name": {"any_": [deployment]}}})
        run = self._post(f"/deployments/{found['id']}/create_flow_run", {"state": {"type": "SCHEDULED"}})
        return str(run["id"])

    def audits(self) -> list[dict[str, Any]]:
        """The audits proper, inside of the runs of deployments: they begin when a run has its turn."""
        inner = {"flows": {"name": {"any_": ["audit-batch"]}}}
        return self._ask("POST", "/flow_runs/filter", {"sort": "EXPECTED_START_TIME_ASC", "limit": 200, **inner})

    def unlimit(self, queue: str) -> None:
        """Take the limit from a work queue of the pool."""
        path = f"/work_pools/trapaudit-process/queues/{queue}"
        assert self._ask("GET", path)["concurrency_limit"] == 1
        self._ask("PATCH", path, {"concurrency_limit": None})

    def until(self, what: str, look: Callable[[], Any], seconds: float = 900) -> Any:
        """Look until something is found.

        Raises:
            AssertionError: it was not found in time; with the ends of all logs.
        """
        return until(look, seconds, lambda: f"{what}\n{self._state()}", pause=0.25)

    def _state(self) -> str:
        """What the server and the logs know, to explain a failure."""
        logs = "\n".join(f"--- {path.name}\n{path.read_text()[-3000:]}" for path in self.services.folder.glob("*.log"))
        states: object
        try:
            states = [(run["name"], run["state_name"], run["state"]["message"]) for run in self.runs()]
        except OSError as error:
            states = f"the server does not tell of runs: {error}"
        return f"{states}\n{logs}"

    def _post(self, path: str, content: dict[str, Any]) -> Any:
        return self._ask("POST", path, content)

    def _ask(self, method: str, path: str, content: dict[str, Any] | None = None) -> Any:
        body = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(self.api + path, body, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.loads(answer.read() or b"null")


@pytest.fixture(scope="module")
def postgres() -> Iterator[int]:
    """Port of a PostgreSQL server with an empty database `prefect`."""
    if not (shutil.which("initdb") or list(Path("/usr/lib/postgresql").glob("*/bin/initdb"))):
        unavailable("PostgreSQL is not installed (no initdb; Debian: postgresql)")
    folder = Path(f"/tmp/pg-{uuid.uuid4().hex[:8]}")  # not below pytest's folder, which only root may enter
    port = free_port()
    try:
        subprocess.run([POSTGRES, "start", folder, str(port)], check=True, timeout=600, stdout=subprocess.DEVNULL)
        yield port
    finally:
        subprocess.run([POSTGRES, "stop", folder], check=False, timeout=300, stdout=subprocess.DEVNULL)
        shutil.rmtree(folder, ignore_errors=True)
        folder.with_name(f"{folder.name}.start.log").unlink(missing_ok=True)


@pytest.fixture(scope="module")
def stack(ceph: S3Server, postgres: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """All of it, deployed; killed at the end, and no process of it is left."""
    stack = Stack(tmp_path_factory.mktemp("stack"), ceph, postgres)
    try:
        stack.start_server()
        stack.prepare_storage()
        stack.start_relay()
        stack.trapaudit("deploy", "--lost-after", "60")
        stack.start_worker()
        yield stack
    finally:
        stack.services.kill_all()
        assert stack.services.left() == []


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int, int], Path]:
    """Images of so many bursts of a seed."""

    def make(events: int, seed: int) -> Path:
        folder = tmp_path_factory.mktemp("scenes") / "card"
        write_scenes(str(folder), world="demo", n_events=events, seed=seed, split="audit")
        return folder / "images"

    return make


@pytest.fixture
def storage(ceph: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The keys of the object gateway in this process, to read the tables with."""
    for name, value in ceph.env().items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    yield
    s3fs.S3FileSystem.clear_instance_cache()

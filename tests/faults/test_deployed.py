"""Deployed on Prefect's own server, with workers as people start them: whatever dies or changes, each picture is audited once.

The tests share a server and go on where the one before stopped; each has a SOURCE and an OUT of its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import s3fs

from scd_core.audit import read_table
from scd_core.tables.store import AuditStore
from tests.faults.conftest import FAST, MODEL, ROOT
from tests.services.ports import free_port
from tests.services.processes import Services
from tests.services.servers import S3Server, at, new_bucket
from tests.services.wait import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]
SETTINGS = {**FAST, "masks": {"steps": 60}}
LIMIT = 900.0
LEASES = "prefect.server.concurrency.lease_storage.filesystem"
"""As docs/deploying.md asks for: a server that keeps them in memory takes the slot of a run from it when it is restarted."""


class Deployed:
    """A server on SQLite and what an operator does with it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.api = f"http://127.0.0.1:{self.port}/api"
        self.env = {name: text for name, text in os.environ.items() if not name.startswith(("AWS_", "PREFECT_"))} | {
            "PREFECT_HOME": str(folder / "home"),
            "PREFECT_API_URL": self.api,
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(ROOT),
        }
        self.services = Services(folder, self.env)
        self.config = folder / "config.json"
        self.config.write_text(json.dumps(SETTINGS))

    def start_server(self) -> None:
        command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--no-ui"]
        self.services.start(
            "prefect", [*command, "--port", self.port], PREFECT_LOGGING_LEVEL="WARNING",
            PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE=LEASES,
        )  # fmt: skip
        self.services.wait_for("prefect", f"{self.api}/health")

    def start_worker(self, name: str = "worker", **env: str) -> None:
        command = ["-m", "prefect", "worker", "start", "--pool", "trapaudit-process", "--type", "process", "--name"]
        port = free_port()
        self.services.start(
            name, [sys.executable, *command, name, "--with-healthcheck"], PREFECT_WORKER_WEBSERVER_PORT=str(port),
            PREFECT_WORKER_QUERY_SECONDS="2", **env,
        )  # fmt: skip
        self.services.wait_for(name, f"http://127.0.0.1:{port}/health")

    def deploy(self, name: str, source: str, out: str, *more: str, **env: str) -> None:
        places = ["--source", source, "--model", str(MODEL), "--out", out, "--config", str(self.config)]
        arguments = ["deploy", *places, "--name", name]
        command = [sys.executable, "-m", "deployments.cli", *arguments, "--lost-after", "120", "--stuck-after", "180"]
        done = subprocess.run(
            [*command, *more], env=self.env | env, capture_output=True, text=True, check=False, timeout=LIMIT
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def call(self, deployment: str) -> str:
        """Start a run; its id."""
        (found,) = self.ask("POST", "/deployments/filter", {"deployments": {"name": {"any_": [deployment]}}})
        return str(
            self.ask("POST", f"/deployments/{found['id']}/create_flow_run", {"state": {"type": "SCHEDULED"}})["id"]
        )

    def state(self, run: str) -> str:
        return str(self.ask("GET", f"/flow_runs/{run}")["state_type"])

    def runs(self, deployment: str) -> list[dict[str, Any]]:
        only = {"deployments": {"name": {"any_": [deployment]}}}
        return self.ask("POST", "/flow_runs/filter", {"sort": "EXPECTED_START_TIME_ASC", "limit": 200, **only})

    def ask(self, method: str, path: str, content: dict[str, Any] | None = None) -> Any:
        body = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(self.api + path, body, {"Content-Type": "application/json"}, method=method)
        begun = time.monotonic()
        while True:
            try:
                with urllib.request.urlopen(request, timeout=120) as answer:
                    return json.loads(answer.read() or b"null")
            except urllib.error.HTTPError as error:  # its SQLite is busy: it did nothing, and says to come back
                if error.code != 503 or time.monotonic() - begun > LIMIT:
                    raise
                time.sleep(1)

    def until(self, what: str, look: Callable[[], Any], pause: float = 0.5) -> Any:
        def tail() -> str:
            logs = (f"--- {path.name}\n{path.read_text()[-2500:]}" for path in sorted(self.folder.glob("*.log")))
            return "\n".join([what, *logs])

        return until(look, LIMIT, tail, pause=pause)

    def ended(self, run: str) -> str:
        """The state in which a run ended."""
        return str(self.until(f"end of run {run}", lambda: s if (s := self.state(run)) in ENDS else ""))


ENDS = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    stack = Deployed(tmp_path_factory.mktemp("deployed"))
    try:
        stack.start_server()
        yield stack
    finally:
        stack.services.kill_all()
        assert stack.services.left() == []


@pytest.fixture
def worker(deployed: Deployed) -> Iterator[None]:
    yield
    with contextlib.suppress(KeyError):
        for name in ("worker", "second"):
            deployed.services.kill(name)


def check_once(out: str, n: int, *, n_batches: int = 1) -> None:
    """Every picture is in the tables once, and every one that can be used was named."""
    assert len(AuditStore(out).committed_keys()) == n_batches
    media = read_table(out, "media")
    assert len(media) == n and media["media_id"].is_unique and media["file"].is_unique
    assert "missing" not in set(media["status"])
    named = read_table(out, "predictions")["media_id"]
    assert sorted(named) == sorted(media.loc[media["status"] == "ok", "media_id"])


def committed(out: str) -> set[str]:
    return AuditStore(out).committed_keys()


def masks_kept(out: str) -> bool:
    return any("/masks/" in file for file in AuditStore(out).files("work"))


@pytest.mark.usefixtures("worker")
def test_the_server_is_restarted_under_a_run(deployed: Deployed, scenes: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    deployed.deploy("restarted", str(scenes), out, "--cron", "0 0 1 1 *")
    deployed.start_worker()
    run = deployed.call("audit-uploads-restarted")
    deployed.until("a shard of masks", lambda: masks_kept(out), pause=0.1)
    deployed.services.kill("prefect")
    assert not committed(out), "it was to be killed before the commit"
    time.sleep(10)
    deployed.start_server()
    deployed.until("the commit", lambda: committed(out))
    deployed.ended(run)
    check_once(out, 14)
    assert deployed.ended(deployed.call("nightly-audit-restarted")) == "COMPLETED", "the slot is free"
    check_once(out, 14)


@pytest.mark.usefixtures("worker")
def test_a_night_that_came_while_the_server_was_away_is_run_when_it_is_back(
    deployed: Deployed, scenes: Path, tmp_path: Path
) -> None:
    out, source = str(tmp_path / "out"), tmp_path / "cards"
    shutil.copytree(scenes, source)
    for path in source.rglob("*"):
        os.utime(path, (time.time() - 86_400,) * 2)  # a night leaves what was written just now to the next one
    deployed.deploy("away", str(source), out, "--cron", "* * * * *")
    planned = deployed.until("nights are planned", lambda: deployed.runs("nightly-audit-away"))
    deployed.services.kill("prefect")
    time.sleep(130)  # two nights come meanwhile
    deployed.start_server()
    deployed.start_worker()
    deployed.until("the commit", lambda: committed(out))
    deployed.until(
        "a night that is done",
        lambda: "COMPLETED" in {run["state_type"] for run in deployed.runs("nightly-audit-away")},
    )
    deployed.ask("DELETE", f"/deployments/{planned[0]['deployment_id']}")
    check_once(out, 14)


@pytest.mark.usefixtures("worker")
def test_keys_are_rotated_under_a_run(deployed: Deployed, ceph: S3Server, scenes: Path) -> None:
    """What is kept is kept, nothing is taken for missing, and the next run, with the new key, goes on."""

    def keys(*arguments: str) -> None:
        command = ["radosgw-admin", "-c", f"{ceph.folder}/ceph.conf", "-n", "client.rgw", "key", *arguments]
        subprocess.run([*command, "--uid=test"], check=True, capture_output=True, timeout=300)

    def made(name: str) -> dict[str, str]:
        keys("create", "--key-type=s3", f"--access-key={name}", f"--secret-key={name}-secret-123")
        return ceph.env() | {"AWS_ACCESS_KEY_ID": name, "AWS_SECRET_ACCESS_KEY": f"{name}-secret-123"}

    files = {f"card/{path.relative_to(scenes)}": path.read_bytes() for path in sorted(scenes.rglob("*.JPG"))}
    with at(ceph) as server:
        root = f"s3://{new_bucket(server, files)}"
        out, old = f"{root}/out", made("rotated-one")
        deployed.deploy("keys", f"{root}/card", out, "--cron", "0 0 1 1 *", **old)
        deployed.start_worker(**old)
        run = deployed.call("audit-uploads-keys")
        deployed.until("a shard of masks", lambda: masks_kept(out), pause=0.1)
        keys("rm", "--key-type=s3", "--access-key=rotated-one")
        assert not committed(out), "the key was to go before the commit"
        assert deployed.ended(run) in ("FAILED", "CRASHED")
        assert not committed(out)
        deployed.services.kill("worker")
        s3fs.S3FileSystem.clear_instance_cache()
        deployed.start_worker(**made("rotated-two"))
        assert deployed.ended(deployed.call("audit-uploads-keys")) == "COMPLETED"
        check_once(out, 14)
        keys("rm", "--key-type=s3", "--access-key=rotated-two")


@pytest.mark.usefixtures("worker")
def test_two_workers_share_the_runs_and_audit_each_picture_once(
    deployed: Deployed, scenes: Path, tmp_path: Path
) -> None:
    outs = {name: str(tmp_path / name) for name in ("east", "west")}
    for name, out in outs.items():
        source = tmp_path / f"cards-{name}"
        shutil.copytree(scenes, source)
        deployed.deploy(name, str(source), out, "--cron", "0 0 1 1 *")
    deployed.start_worker()
    deployed.start_worker("second")
    runs = [deployed.call(f"{flow}-{name}") for name in outs for flow in ("nightly-audit", "audit-uploads")]
    states = {deployed.ended(run) for run in runs}
    assert states <= {"COMPLETED", "CANCELLED"} and "COMPLETED" in states, "one that another covers may be cancelled"
    for out in outs.values():
        check_once(out, 14)


@pytest.mark.usefixtures("worker")
def test_the_database_of_the_server_is_lost(deployed: Deployed, scenes: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "cards", str(tmp_path / "out")
    shutil.copytree(scenes, source)
    deployed.deploy("lost", str(source), out, "--cron", "0 0 1 1 *")
    deployed.start_worker()
    assert deployed.ended(deployed.call("nightly-audit-lost")) == "COMPLETED"
    check_once(out, 14)
    deployed.services.kill("prefect")
    gone = list((deployed.folder / "home").glob("prefect.db*"))
    assert gone, "where is the database?"
    for path in gone:
        path.unlink()
    deployed.start_server()
    picture = sorted(source.rglob("*.JPG"))[0]
    picture.with_name("new.JPG").write_bytes(picture.read_bytes() + b"\0")
    deployed.deploy("lost", str(source), out, "--cron", "0 0 1 1 *")
    deployed.services.kill("worker")
    deployed.start_worker()
    assert deployed.ended(deployed.call("audit-uploads-lost")) == "COMPLETED"
    check_once(out, 15, n_batches=2)


@pytest.mark.usefixtures("worker")
def test_a_worker_killed_while_submitting_does_not_hold_the_slot(
    deployed: Deployed, scenes: Path, tmp_path: Path
) -> None:
    out = str(tmp_path / "out")
    deployed.deploy("pending", str(scenes), out, "--cron", "0 0 1 1 *")
    deployed.start_worker()
    run = deployed.call("nightly-audit-pending")
    deployed.until("a run that was taken", lambda: deployed.state(run) == "PENDING", pause=0.05)
    deployed.services.kill("worker")
    assert deployed.state(run) == "PENDING", "it was to be killed before its run began"
    deployed.start_worker()
    assert deployed.ended(run) == "CRASHED"
    deployed.until("what it left is done by another run", lambda: committed(out))
    check_once(out, 14)
    again = deployed.call("nightly-audit-pending")
    assert deployed.ended(again) == "COMPLETED", "the slot is free"
    check_once(out, 14)
